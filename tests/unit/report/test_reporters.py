"""Reporters of other packages: they get the run, and cannot lose it."""

from __future__ import annotations

import json
import runpy
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.report.reporter import Reporter, RunResults
from pytest_qeval.report.reporters import call_reporters
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import session

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "reporter.py"
FOUND = session("++", "+-")
RESULTS = RunResults(
    summary=summarize(FOUND),
    gates=(),
    planned=FOUND.planned,
    records={(one.recipe, one.case): one for one in FOUND.records},
)


class Counter:
    """Writes how many problems each recipe solved."""

    name = "counter"
    summary = "solved.txt: how many problems each recipe solved"

    def write(self, results: RunResults, folder: Path) -> None:
        solved = {one.recipe: len(one.solved) for one in results.summary.results}
        assert results.report["run"]["planned"] == len(results.planned)
        (folder / "solved.txt").write_text(str(solved), encoding="utf-8")


class Broken:
    """Fails in some way."""

    name, summary = "broken", "nothing"

    def __init__(self, fault: BaseException) -> None:
        self._fault = fault

    def write(self, results: RunResults, folder: Path) -> None:  # noqa: ARG002 - as the protocol has it
        raise self._fault


def register(monkeypatch: pytest.MonkeyPatch, **reporters: Reporter) -> None:
    """Put reporters into the registry, as a package would by its entry points."""
    entries = [EntryPoint(name, f"{__name__}:{name}", "pytest_qeval.reporters") for name in reporters]
    for name, reporter in reporters.items():
        monkeypatch.setattr(sys.modules[__name__], name, reporter, raising=False)
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group.endswith("reporters") else [])


def test_a_reporter_writes_beside_the_other_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It gets everything that was concluded."""
    register(monkeypatch, counter=Counter())

    assert list(call_reporters(RESULTS, tmp_path)) == []
    assert (tmp_path / "solved.txt").read_text(encoding="utf-8") == "{'auto': 2, 'int8': 1}"


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (ValueError("no such colour"), "ValueError: no such colour"),
        (KeyError(), "KeyError"),
        (SystemExit(3), "SystemExit: 3"),
        (pytest.fail.Exception("no"), "Failed: no"),
    ],
    ids=["error", "without a message", "exit", "pytest.fail"],
)
def test_one_that_fails_is_named_and_the_others_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: BaseException, shown: str
) -> None:
    """Whatever it raises."""
    register(monkeypatch, broken=Broken(fault), counter=Counter())
    (line,) = call_reporters(RESULTS, tmp_path)

    assert line.text == f"warning: the reporter 'broken' failed ({shown}); the other reports are complete"
    assert line.colour == "yellow"
    assert (tmp_path / "solved.txt").exists()


def test_one_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = EntryPoint("gone", "no_such_module:REPORTER", "pytest_qeval.reporters")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])  # noqa: ARG005 - called by keyword
    (line,) = call_reporters(RESULTS, tmp_path)

    assert "the reporter 'gone' failed (UsageError: 'gone' cannot be loaded: its entry point" in line.text


@pytest.mark.skipif(not EXAMPLE.exists(), reason="an installed package has no examples beside its tests")
def test_the_example_of_the_documentation_writes_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One for every run, with the scores of every recipe."""
    register(monkeypatch, history=runpy.run_path(str(EXAMPLE))["HISTORY"])
    folder = tmp_path / "run"
    folder.mkdir()

    assert [*call_reporters(RESULTS, folder), *call_reporters(RESULTS, folder)] == []
    lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    row = {"run": "run", "verdict": "none", "pass@1": {"micro/auto": 1.0, "micro/int8": 0.5}}
    assert [json.loads(line) for line in lines] == [row, row]


def test_the_user_can_interrupt_a_reporter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As everything else."""
    register(monkeypatch, broken=Broken(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        list(call_reporters(RESULTS, tmp_path))
