"""What the reporting process shows: the header, the outcomes by their own words, the summary and the exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, WRONG, check_refusal, read_report, write_samples
from tests.sandboxes import strongest_isolation

Run = Callable[..., pytest.RunResult]


def replay(run: Run, samples: Path, *arguments: str) -> pytest.RunResult:
    return run("-p", "no:xdist", *REPLAY, str(samples), *arguments)


def test_the_header_describes_the_run(run: Run, samples: Path) -> None:
    """Samples, recipe, sandbox, prompt style and the folder of the reports."""
    result = replay(run, samples, "--qeval-output", "out", "-k", "micro/0")

    result.stdout.fnmatch_lines(
        [
            f"qeval: {samples.name} · replay · sandbox *",
            "qeval: prompts: completion, *",
            "qeval: reports go to */out",
        ]
    )


def test_outcomes_have_letters_and_words(run: Run, samples: Path) -> None:
    """A dot and `u`, or SOLVED and UNSOLVED; an unsolved case has its reason."""
    replay(run, samples).stdout.fnmatch_lines(["*...u...u*"])
    replay(run, samples, "-v", "-rx").stdout.fnmatch_lines(
        ["*micro/0* SOLVED*", "*micro/3* UNSOLVED*", "*6 passed, 2 unsolved*"]
    )


def test_changes_against_the_baseline_have_their_own(
    run: Run, pytester: pytest.Pytester, samples: Path, micro_rows: list[Json]
) -> None:
    """`R` for a case that only the baseline solves, `+` for one that only the candidate solves."""
    replay(run, samples, "--qeval-save-baseline", "b.json.gz")
    rows = [
        {"task_id": row["task_id"], "completion": WRONG if index == 0 else row["canonical_solution"]}
        for index, row in enumerate(micro_rows[:8])
    ]
    file = pytester.path / write_samples(pytester.path / "candidate.jsonl", rows)
    shown = replay(run, file, "--qeval-baseline", "b.json.gz")
    strict = replay(run, file, "--qeval-baseline", "b.json.gz", "-v")

    assert shown.ret == pytest.ExitCode.OK
    shown.stdout.fnmatch_lines(["*R..+...+*", "*1 regressed, 2 fixed*"])
    strict.stdout.fnmatch_lines(["*micro/0* REGRESSED*", "*micro/3* FIXED*"])


@pytest.mark.parametrize("arguments", [("--runxfail",), ("-p", "no:skipping"), ("-p", "no:capture")])
def test_an_unsolved_case_is_no_expected_failure(run: Run, samples: Path, arguments: tuple[str, ...]) -> None:
    """What pytest does about those, or does not know, changes no outcome."""
    result = replay(run, samples, "-v", *arguments)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*micro/3* UNSOLVED (unsolved: *", "*6 passed, 2 unsolved*"])


def test_without_a_terminal_there_is_a_report(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """`-p no:terminal` leaves nothing to write to but files, and the exit status."""
    arguments = ("-p", "no:terminal", "--qeval-output", "out", "--qeval-gate", "pass@1 >= 0.9")

    assert replay(run, samples, *arguments).ret == pytest.ExitCode.TESTS_FAILED
    assert read_report(pytester.path / "out")["run"]["missing"] == 0


FORKED = """
def pytest_addoption(parser): parser.addoption("--forked", action="store_true")

def pytest_configure(config): config.addinivalue_line("markers", "forked")
"""
MARKED = """
import pytest

@pytest.mark.forked
@pytest.mark.qeval("micro")
def test_forked(qeval, case): qeval(case)
"""


@pytest.mark.parametrize("arguments", ["--forked", "test_mine.py"])
def test_a_test_in_a_process_of_its_own_is_refused(
    run: Run, pytester: pytest.Pytester, samples: Path, arguments: str
) -> None:
    """pytest-forked's processes end with their records; each would load the model."""
    pytester.makepyfile(pytest_forked=FORKED, test_mine=MARKED)
    pytester.syspathinsert()

    check_refusal(replay(run, samples, "-p", "pytest_forked", arguments), "*forked*the model in it: leave it out*")


def test_a_broken_gate_is_the_exit_status(run: Run, samples: Path) -> None:
    """Of a run whose tests all end well."""
    result = replay(run, samples, "--qeval-gate", "pass@1 >= 0.99")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*= qeval =*", "*FAIL  pass@1 >= 0.99*", "verdict: FAIL, the gate is broken"])


def test_a_gate_without_a_case_is_not_passed_over(run: Run, samples: Path) -> None:
    """When every case is deselected no gate is judged, and the summary says so."""
    result = replay(run, samples, "--qeval-gate", "pass@1 >= 0.1", "-k", "nothing")

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["no gate was judged: *"])


def test_gates_without_a_test_of_the_model_fail_a_run_that_asks_for_it(
    run: Run, samples: Path, pytester: pytest.Pytester
) -> None:
    """Ordinary tests pass, and say nothing about a model; where all stands in the ini file, they are all there is."""
    pytester.makepyfile(test_own="def test_own(): pass")
    asked = replay(run, samples, "--qeval-gate", "pass@1 >= 0.1", "test_own.py")
    evaluates = f"qeval_completions = {samples}\nqeval_sandbox = {strongest_isolation()}"
    pytester.makeini(f"[pytest]\n{evaluates}\nqeval_gate = pass@1 >= 0.1\n")
    ordinary = run("test_own.py")

    assert (asked.ret, ordinary.ret) == (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.OK)
    for result in (asked, ordinary):
        result.stdout.fnmatch_lines(["no gate was judged: *"])
