"""Ids of the suites' tests: short, the same wherever the suites are installed, and good for selecting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, WRONG, write_samples

Run = Callable[..., pytest.RunResult]
TWELVE = ("--qeval-limit", "12", "--qeval-completions")
ONE = ("--deselect", "micro::replay-micro/1")


@pytest.fixture
def right(pytester: pytest.Pytester, micro_rows: Sequence[Json]) -> Path:
    """Write right completions of twelve problems, of which two ids begin like a third one's."""
    rows = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in micro_rows[:12]]
    return pytester.path / write_samples(pytester.path / "right.jsonl", rows)


def test_an_id_is_suite_recipe_and_problem(run: Run, right: Path, mode: tuple[str, ...]) -> None:
    """By every way to run, and in the messages about a test."""
    result = run(*mode, *REPLAY, str(right), "--qeval-limit", "2", "-v")

    assert result.ret == pytest.ExitCode.OK
    assert sum("micro::replay-micro/" in line for line in result.stdout.lines if "SOLVED" in line) == 2
    result.stdout.no_fnmatch_line("*test_micro*SOLVED*")


def test_one_test_is_deselected_by_its_id(run: Run, right: Path) -> None:
    """And no other whose id begins the same; a prefix that is no id takes all that it begins."""
    one = run("-p", "no:xdist", *ONE, *TWELVE, str(right))
    several = run("-p", "no:xdist", *ONE, "--deselect", "micro::r", *TWELVE, str(right))

    one.stdout.fnmatch_lines(["*11 passed, 1 deselected*"])
    several.stdout.fnmatch_lines(["*12 deselected*"])


def test_failed_tests_run_again_and_words_select(
    run: Run, pytester: pytest.Pytester, right: Path, micro_rows: Sequence[Json]
) -> None:
    """`--lf` finds the ids of the last run, `-k` the words in them."""
    rows = [
        {"task_id": row["task_id"], "completion": WRONG if index == 1 else row["canonical_solution"]}
        for index, row in enumerate(micro_rows[:12])
    ]
    wrong = pytester.path / write_samples(pytester.path / "wrong.jsonl", rows)
    plain = ("-p", "no:xdist", "-p", "cacheprovider", *TWELVE)
    run(*plain, str(right), "--qeval-save-baseline", "b.json.gz")
    strict = (*plain, str(wrong), "--qeval-baseline", "b.json.gz", "--qeval-strict", "-rf")

    run(*strict).stdout.fnmatch_lines(["FAILED micro::replay-micro/1 - *", "*1 failed, 11 passed*"])
    run(*strict, "--lf").stdout.fnmatch_lines(["FAILED micro::replay-micro/1 - *", "*1 failed, 11 deselected*"])
    run(*strict, "-k", "micro and not micro/1").stdout.fnmatch_lines(["*9 passed, 3 deselected*"])


def test_files_of_the_user_keep_their_ids(run: Run, pytester: pytest.Pytester, right: Path) -> None:
    pytester.makepyfile(
        test_mine="""
        import pytest

        @pytest.mark.qeval("micro")
        def test_it(qeval, case):
            qeval(case)
        """
    )
    result = run("-p", "no:xdist", *REPLAY, str(right), "--qeval-limit", "1", "-v", "test_mine.py")

    result.stdout.fnmatch_lines(["test_mine.py::test_it[[]replay-micro/0[]] SOLVED*"])
