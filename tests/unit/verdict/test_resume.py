"""A run goes on only if it is the same one, and takes what its journal has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import EnergyFacts, GenerationFacts
from pytest_qeval.records.journal import read_journal
from pytest_qeval.records.messages import Message, RunEnd, RunResumed, to_plain
from pytest_qeval.schema import Case, Json
from pytest_qeval.session import Session
from pytest_qeval.settings import ExecutionSettings, ModelSettings
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.resume import ResumedRun
from tests.unit.summary.builders import BASELINE, HEADER, INT8, case, record

SETTINGS = RunSettings(model=ModelSettings(name="tiny"), candidates=("int8",), baseline="auto")
PLANNED: list[tuple[str, Case | None]] = [(recipe, case(number)) for recipe in ("auto", "int8") for number in range(3)]
RECORDS = [record(recipe, number, "+" if number else "-") for recipe in ("auto", "int8") for number in range(3)]
MESSAGES: tuple[Message, ...] = (BASELINE, *RECORDS[:3], INT8, *RECORDS[3:])
NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
_BEGUN: list[Session] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test leaves open, as the end of a process does."""
    yield
    while _BEGUN:
        if (journal := _BEGUN.pop()._journal) is not None:
            journal.close()


def begin(folder: Path, settings: RunSettings = SETTINGS, resumed: ResumedRun | None = None) -> Session:
    session = Session(settings, HEADER, output=folder, clock=lambda: 7.0, resumed=resumed, now=lambda: NOW)
    _BEGUN.append(session)
    return session


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Return the journal of a run that was killed after its last record."""
    session = begin(tmp_path)
    session.plan(PLANNED)
    for message in MESSAGES:
        session.add(message)
    assert session._journal is not None
    session._journal.close()
    return tmp_path / "records.jsonl"


def rows(path: Path, kind: str) -> list[Json]:
    return [row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()) if row["type"] == kind]


def go_on(path: Path, settings: RunSettings = SETTINGS) -> Session:
    session = begin(path.parent, settings, ResumedRun.read(path))
    session.plan(PLANNED)
    return session


def test_cut_anywhere_it_ends_with_the_same_records(killed: Path) -> None:
    """Whole lines are kept as they are, a torn one is cut off, and nothing is written twice."""
    content = killed.read_bytes()
    header_ends = sum(len(line) for line in content.splitlines(keepends=True)[:2])
    ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
    for n_bytes in sorted({*range(0, len(content), 23), *ends, *(end - 1 for end in ends)}):
        killed.write_bytes(content[:n_bytes])
        resumed = ResumedRun.read(killed)
        assert (resumed.plan is None) == (n_bytes < header_ends)
        if resumed.plan is None:
            continue
        session = begin(killed.parent, resumed=resumed)
        session.plan(PLANNED)
        for one in RECORDS:
            if (one.recipe, one.case) not in resumed.records:
                session.add(one)
        session._journal.close()  # type: ignore[union-attr] # it is open
        assert killed.read_bytes().startswith(content[: resumed.n_bytes])
        assert rows(killed, "record") == [to_plain(one) for one in RECORDS]
        assert len(rows(killed, "resumed")) == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"candidates": ("w4a16",)}, "recipes: w4a16 here, int8 in that run"),
        ({"limit": 5}, "limit: 5 here, none in that run"),
        ({"gates": (parse_gate("pass@1 drop <= 2pt"),)}, "gates: "),
        ({"control": True}, "control: True here, False in that run"),
        ({"execution": ExecutionSettings(timeout_s=1.0)}, "execution.timeout_s: 1.0 here, 5.0 in that run"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_another_run_is_refused_by_what_differs(killed: Path, changes: dict[str, Any], named: str) -> None:
    """In one sentence, before anything is loaded; the journal stays as it is."""
    before = killed.read_bytes()
    with pytest.raises(UsageError, match="is of another run") as caught:
        go_on(killed, replace(SETTINGS, **changes))
    assert named in str(caught.value)
    assert killed.read_bytes() == before


def test_another_version_is_refused(killed: Path) -> None:
    """That of a package which completions or their judgement depend on."""
    header = replace(HEADER, versions={**HEADER.versions, "pytest-qeval": "99.0"})
    with pytest.raises(UsageError, match=r"versions.pytest-qeval: 99.0 here"):
        Session(SETTINGS, header, output=killed.parent, clock=lambda: 7.0, resumed=ResumedRun.read(killed))


def test_another_plan_is_refused(killed: Path) -> None:
    """Such as by `-k`, which no setting shows."""
    session = begin(killed.parent, resumed=ResumedRun.read(killed))
    with pytest.raises(UsageError, match=r"1 case not in this run, such as micro/2 under int8"):
        session.plan(PLANNED[:-1])


def test_an_older_run_is_refused(killed: Path) -> None:
    """It does not say what has to be equal."""
    lines = killed.read_text(encoding="utf-8").splitlines()
    plan = json.loads(lines[1])
    del plan["settings"]
    killed.write_text("\n".join([lines[0], json.dumps(plan), *lines[2:], ""]), encoding="utf-8")
    with pytest.raises(UsageError, match="written by an older version"):
        go_on(killed)


def test_a_finished_run_is_refused(killed: Path) -> None:
    """Unless a case is missing, as after a worker was lost."""
    whole = killed.read_bytes()
    end = (json.dumps(to_plain(RunEnd(duration_s=3.0))) + "\n").encode()
    killed.write_bytes(whole + end)
    with pytest.raises(UsageError, match=r"is finished: .*--qeval-render"):
        ResumedRun.read(killed)
    without_last = b"".join(whole.splitlines(keepends=True)[:-1])
    killed.write_bytes(without_last + end)
    assert len(ResumedRun.read(killed).records) == 5


def test_a_run_that_is_under_way_is_refused(tmp_path: Path) -> None:
    """Two processes must not write one journal."""
    session = begin(tmp_path)
    session.plan(PLANNED)
    with pytest.raises(UsageError, match="another run is writing to"):
        ResumedRun.read(tmp_path / "records.jsonl")


def test_the_parts_add_up(killed: Path) -> None:
    """A part with an end took what that says; the duration of the last part is added."""
    end = json.dumps(to_plain(RunEnd(duration_s=60.0, interrupted=True)))
    lines = killed.read_text(encoding="utf-8").splitlines()
    killed.write_text("\n".join([*lines[:-1], end, ""]), encoding="utf-8")
    session = go_on(killed)
    session.add(RECORDS[-1])
    session.finish(interrupted=True)

    assert session.summary
    assert session.summary.duration_s == 60.0
    assert [part["earlier_s"] for part in session.summary.run.resumed] == [60.0]
    assert session.summary.run.resumed[0]["cut"] == ("int8",)
    again = ResumedRun.read(killed).goes_on(NOW)
    assert again.earlier_s == 0.0


def test_the_energy_of_a_recipe_that_was_cut_short_is_not_known(killed: Path) -> None:
    """What was metered is a part; another recipe's is whole."""
    lines = killed.read_text(encoding="utf-8").splitlines()
    killed.write_text("\n".join([*lines[:-1], ""]), encoding="utf-8")
    session = go_on(killed)
    for name in ("auto", "int8"):
        session.add(
            GenerationFacts(
                recipe=name,
                worker="main",
                busy_s=1.0,
                new_tokens=8,
                prompt_tokens=8,
                peak_memory_bytes=None,
                energy=EnergyFacts(energy_wh=1.0),
            )
        )
    found = {row["recipe"]: row["energy"]["undefined"] for row in rows(killed, "generation")}
    assert found["auto"] == ""
    assert "cut short" in found["int8"]


def test_other_conditions_of_costs_are_accepted_and_told(killed: Path) -> None:
    """A run that was out of memory goes on with a smaller batch."""
    lines = killed.read_text(encoding="utf-8").splitlines()
    killed.write_text("\n".join([*lines[:-1], ""]), encoding="utf-8")
    go_on(killed, replace(SETTINGS, model=ModelSettings(name="tiny", batch_size=1)))
    (found,) = (one for one in read_journal(killed)[1] if isinstance(one, RunResumed))
    assert found.changed == ("costs.batch_size: 1 here, none in that run",)
