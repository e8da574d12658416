"""`--qeval-selftest`: the harness tests itself, without a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugin.runs import REPLAY, check_refusal, read_report

Run = Callable[..., pytest.RunResult]
FEW = ("--qeval-selftest", "--qeval-suite", "micro", "--qeval-limit", "6")


def test_references_pass_and_broken_bodies_fail(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Every case that ends as it has to is an ordinary dot; no samples are written."""
    result = run(*mode, *FEW, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=24)
    result.stdout.fnmatch_lines(["self-test: micro: 6 of 6 references pass, 18 of 18 broken bodies fail"])
    result.stdout.no_fnmatch_line("*pass@1*")
    result.stdout.no_fnmatch_line("*verdict*")
    assert read_report(pytester.path / "out")["selftest"] == {
        "micro": {"references": 6, "references_passed": 6, "broken": 18, "broken_failed": 18, "wrong": []}
    }
    assert sorted(path.name for path in (pytester.path / "out").iterdir()) == ["records.jsonl", "report.json"]


def test_every_benchmark_at_hand_is_tested(run: Run) -> None:
    """HumanEval and micro come with the package; MBPP's data have to be named, and the header says so."""
    result = run("--qeval-selftest", "--qeval-limit", "2")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "qeval: self-test · reference, empty, constant, spoof · sandbox *",
            "qeval: benchmarks: humaneval, micro; left out: cruxeval-input, cruxeval-output, humaneval-js, *",
            "self-test: humaneval: 2 of 2 references pass, 6 of 6 broken bodies fail",
            "self-test: micro: 2 of 2 references pass, 6 of 6 broken bodies fail",
        ]
    )


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_benchmark_with_a_wrong_reference_is_found(
    run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]
) -> None:
    """It is one of the user's own here, whose only test holds for anything."""
    pytester.makepyfile(
        test_mine="""
        import pytest
        from pytest_qeval.benchmarks.custom import make_benchmark

        MINE = make_benchmark("mine", [{
            "task_id": "mine/1", "prompt": "def f():\\n", "entry_point": "f",
            "test": "def check(candidate): assert candidate() is None", "canonical_solution": "    return 1\\n",
        }])

        @pytest.mark.qeval(MINE)
        def test_mine(qeval, case):
            qeval(case)
        """
    )
    result = run(*mode, "--qeval-selftest", "test_mine.py")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines_random(  # workers end in any order
        [
            "the reference solution of mine/1 does not pass: failed: *",
            "an empty body of mine/1 passed",
            "self-test: mine: 0 of 1 references pass, 2 of 3 broken bodies fail",
            "  not as expected: mine/1 (reference), mine/1 (empty)",
        ]
    )


def test_a_project_s_own_settings_do_not_stand_in_the_way(run: Run, pytester: pytest.Pytester) -> None:
    """Model, recipes and gates of the ini file are about evaluations."""
    pytester.makeini("[pytest]\nqeval_model = demo\nqeval_recipe = int8\nqeval_gate = pass@1 drop <= 2pt\n")

    result = run(*FEW)

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=24)


def test_suites_without_problems_are_skipped(run: Run) -> None:
    """There is no speed of a reference solution."""
    result = run(*FEW, "--qeval-suite", "efficiency", "--qeval-suite", "sensitivity", "-k", "efficiency or sensitivity")

    result.assert_outcomes(skipped=36, deselected=24)
    result.stdout.fnmatch_lines(["self-test: no problem was run"])


def test_a_self_test_is_not_compared(run: Run, samples: Path) -> None:
    """Its recipes are reference solutions and broken bodies."""
    run(*FEW, "--qeval-output", "a")
    run(*REPLAY, str(samples), "--qeval-output", "b")
    result = run("--qeval-compare", "b/records.jsonl", "a/records.jsonl")

    check_refusal(result, "*a/records.jsonl is a self-test of the harness: compare two runs *")


FLAKY = """
import pytest

@pytest.mark.qeval("micro")
def test_mine(qeval, case):
    qeval(case)
    assert (qeval.recipe, case.task_id) not in {("spoof", "micro/1"), ("empty", "micro/0")}

def test_ordinary():
    pass
"""


def test_failed_first_loads_every_recipe_once(run_afresh: Run, pytester: pytest.Pytester) -> None:
    """Under `--ff` tests that failed come first within their recipe, and recipes stay in order."""
    pytester.makepyfile(test_mine=FLAKY)
    arguments = ("-n0", "-p", "cacheprovider", *FEW[:1], "--qeval-limit", "2", "-v", "test_mine.py")
    run_afresh(*arguments)
    shown = run_afresh(*arguments, "--ff").stdout.str()

    order = re.findall(r"test_mine\[(\w+)-micro/(\d)\]", shown.partition("\n\n")[2].partition("===")[0])
    assert order == [
        ("reference", "0"), ("reference", "1"), ("empty", "0"), ("empty", "1"),
        ("constant", "0"), ("constant", "1"), ("spoof", "1"), ("spoof", "0"),
    ]  # fmt: skip
