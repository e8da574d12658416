"""A session takes messages in any order, keeps a journal, and ends with a verdict and its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import StreamFacts
from pytest_qeval.records.journal import read_journal
from pytest_qeval.records.messages import Message, Plan, RunEnd
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.session import Session
from pytest_qeval.settings import ModelSettings
from pytest_qeval.verdict.baseline.file import read_baseline
from pytest_qeval.verdict.baseline.key import cost_key
from pytest_qeval.verdict.baseline.reuse import ReusableCases, SavedBaseline
from pytest_qeval.verdict.gates.grammar import parse_gate
from tests.full_disk import full_disk
from tests.unit.summary.builders import BASELINE, HEADER, INT8, case, record
from tests.unit.verdict.baseline.baselines import SAVED, SCORES

SETTINGS = RunSettings(model=ModelSettings(name="tiny"), candidates=("int8",), baseline="auto")
PLANNED: list[tuple[str, Case | None]] = [(recipe, case(number)) for recipe in ("auto", "int8") for number in range(2)]
MESSAGES: tuple[Message, ...] = (
    BASELINE,
    INT8,
    record("auto", 0, "+"),
    record("auto", 1, "+"),
    record("int8", 0, "+"),
    record("int8", 1, "-"),
)
STREAM = StreamFacts(recipe="int8", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.03))
COSTS = cost_key(HEADER, model=SETTINGS.model, execution=SETTINGS.execution, n_workers=1)
Make = Callable[..., Session]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make sessions whose clock advances by a second at every look."""

    def made(*gates: str, settings: RunSettings = SETTINGS, saved: SavedBaseline | None = None) -> Session:
        header = replace(HEADER, saved_baseline=saved.origin()) if saved else HEADER
        return Session(
            replace(settings, gates=tuple(map(parse_gate, gates))),
            header,
            output=tmp_path / "out",
            clock=map(float, count()).__next__,
            saved=saved,
        )

    return made


def report(session: Session) -> Json:
    found: Json = json.loads((session.output / "report.json").read_text(encoding="utf-8"))
    return found


def run(session: Session, *messages: Message) -> bool:
    session.plan(PLANNED)
    for message in messages:
        session.add(message)
    return session.finish()


@pytest.mark.parametrize(("gate", "holds"), [("regressed <= 1", True), ("regressed <= 0", False)])
def test_the_gates_decide(make: Make, gate: str, *, holds: bool) -> None:
    """The report says the same as the return value."""
    session = make(gate)

    assert run(session, *MESSAGES) == holds
    assert [result.outcome for result in session.gates] == ["pass" if holds else "fail"]
    assert report(session)["verdict"] == ("pass" if holds else "fail")
    assert report(session)["run"]["duration_s"] == 1.0


def test_the_journal_holds_the_run_the_plan_and_the_messages(make: Make) -> None:
    """A baseline's log-probabilities are megabytes and left out."""
    session = make()
    run(session, *MESSAGES, SCORES)
    header, (plan, *messages) = read_journal(session.output / "records.jsonl")

    assert (header.id, header.planned) == (HEADER.id, 4)
    assert isinstance(plan, Plan)
    assert [(one.recipe, one.case) for one in plan.cases] == PLANNED
    assert plan.conditions["engine"] == HEADER.engine
    assert plan.conditions["costs.workers"] == 1
    assert tuple(messages) == (*MESSAGES, RunEnd(duration_s=1.0))


def test_a_full_disk_ends_the_run_with_what_is_on_it(make: Make) -> None:
    """Nothing counts that the journal does not hold; no gate is judged, and the summary says what to do."""
    session = make("regressed <= 0")
    session.plan(PLANNED)
    for message in MESSAGES[:-1]:
        session.add(message)
    journal = session.output / "records.jsonl"
    with full_disk(journal.stat().st_size + 10):
        session.add(MESSAGES[-1])
        assert "cannot be written" in session.stop
        session.add(MESSAGES[-2])
        session.finish()

    assert read_journal(journal)[1][1:] == MESSAGES[:-1]
    assert session.summary is not None
    assert (session.summary.interrupted, session.gates) == (True, ())
    assert session.stop in [line.text for line in session.lines(-1)]


def test_reports_that_cannot_be_written_fail_the_run(make: Make) -> None:
    """The gates hold, the records are kept, and the reports can be written later."""
    session = make("regressed <= 1")
    session.plan(PLANNED)
    for message in MESSAGES:
        session.add(message)
    with full_disk((session.output / "records.jsonl").stat().st_size + 100):
        assert not session.finish()

    assert not (session.output / "report.json").exists()
    assert [gate.outcome for gate in session.gates] == ["pass"]
    assert not [line.text for line in session.lines() if line.text.startswith("report:")]
    assert f"Make room, then: pytest --qeval-render {session.output}" in session.fault
    assert read_journal(session.output / "records.jsonl")[1][-1] == RunEnd(duration_s=1.0)


def test_a_journal_that_cannot_begin_is_a_usage_error(make: Make) -> None:
    """Before anything is loaded; nothing is concluded then."""
    session = make()
    with full_disk(10), pytest.raises(UsageError, match="cannot be written"):
        session.plan(PLANNED)

    assert session.finish()
    assert list(session.lines()) == []


def test_without_a_plan_nothing_is_written(make: Make) -> None:
    """Such as when no test of the model was selected; a gate must not look as if it held."""
    session = make("regressed <= 1")
    session.plan([])

    assert session.finish()
    assert not session.output.exists()
    assert [line.text for line in session.lines()] == ["no gate was judged: no test of the model was selected"]


def test_a_case_is_compared_with_the_baseline_as_soon_as_that_is_known(make: Make) -> None:
    """For the word behind the test; the baseline itself is compared with nothing."""
    session = make()
    session.plan(PLANNED)
    assert session.outcome("int8", case(0), "unsolved") == "unsolved"
    for message in MESSAGES:
        session.add(message)

    assert session.outcome("int8", case(0), "unsolved") == "regressed"
    assert session.outcome("int8", case(0), "solved") == "solved"
    assert session.outcome("auto", case(0), "unsolved") == "unsolved"
    assert session.finish()


def test_records_of_a_saved_baseline_take_part(make: Make) -> None:
    """They are planned, written to the journal and counted; accepted differences are in the report."""
    saved = SavedBaseline(baseline=SAVED, path=Path("b.json.gz"), named=True, accepted=("a",))
    session = make(saved=saved)
    planned = [plan for plan in PLANNED if plan[0] == "int8"]
    session.plan(planned, ReusableCases(cases=frozenset([case(0), case(1)]), accepted=("b",)))
    for message in MESSAGES[-2:]:
        session.add(message)

    assert next(session.preview([])) == "2 of the 2 records of auto are the saved ones"
    assert session.finish()
    assert report(session)["run"]["missing"] == 0
    assert report(session)["run"]["saved_baseline"]["accepted_differences"] == ["a", "b"]
    _, messages = read_journal(session.output / "records.jsonl")
    assert [one.recipe for one in messages if isinstance(one, Record)] == ["auto", "auto", "int8", "int8"]


@pytest.mark.parametrize("measured", [True, False])
def test_a_saved_single_stream_is_shown_beside_a_candidate_s_alone(make: Make, *, measured: bool) -> None:
    """Else its number would stand beside a dash, as if it had been measured for this run."""
    saved = SavedBaseline(baseline=replace(SAVED, key={**SAVED.key, **COSTS}), path=Path("b.json.gz"), named=True)
    session = make(saved=saved)
    session.plan([plan for plan in PLANNED if plan[0] == "int8"], ReusableCases(cases=frozenset([case(0), case(1)])))
    session.add(INT8)
    if measured:
        session.add(STREAM)
    session.finish()

    assert (report(session)["efficiency"]["auto"]["decode"]["latency_per_token_s"] is not None) == measured


def test_without_cases_no_record_is_said_to_be_reused(make: Make) -> None:
    """A run of the suite divergence generates nothing."""
    session = make(saved=SavedBaseline(baseline=SAVED, path=Path("b.json.gz"), named=True))
    session.plan([("int8", None)], ReusableCases())

    assert list(session.preview([])) == []
    session.finish()


def test_a_baseline_is_written_and_its_file_named(make: Make, tmp_path: Path) -> None:
    """Where the user wants it."""
    path = tmp_path / "b.json.gz"
    session = make(settings=replace(SETTINGS, save_baseline=path))

    assert run(session, *MESSAGES)
    assert len(read_baseline(path).records) == 2
    assert f"baseline: {path} (auto, 2 cases)" in [line.text for line in session.lines()]


def test_a_baseline_that_cannot_be_written_is_a_failure(make: Make, tmp_path: Path) -> None:
    """The reports are written all the same."""
    path = tmp_path / "b.json.gz"
    path.write_bytes(b"something else")
    session = make(settings=replace(SETTINGS, save_baseline=path))

    assert not run(session, *MESSAGES[:3])
    assert report(session)["run"]["missing"] == 3
    assert any("was left as it is" in line.text for line in session.lines())
