"""The table of pytest's own options in docs/pytest.md: every row is run, and does what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_qeval.config.suites import suite_files
from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, check_refusal, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]
PAGE = Path(__file__).parents[2] / "docs" / "pytest.md"
ROW = re.compile(r"^\| `(?P<arguments>[^`]+)` \| (?P<run>\d+) \| (?P<left_out>\d+) \| (?P<status>\d) \|", re.MULTILINE)
FAILING = re.compile(r"^\| `([^`]+)` \| (\d+) \| (\d+) \| [^|\d]", re.MULTILINE)
NEEDS = {"--reruns": "pytest_rerunfailures", "--count": "pytest_repeat", "randomly": "pytest_randomly"}
RAN = ("passed", "unsolved", "failed", "regressed", "fixed")
DIST = ("load", "loadscope", "loadfile", "loadgroup", "worksteal")

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no documentation beside its tests")


class Row(NamedTuple):
    """A row of the table."""

    arguments: str
    n_run: int
    left_out: int
    status: int


class Failing(NamedTuple):
    """A row of the table of failures: tests that run at first, and the second time."""

    arguments: str
    first: int
    second: int


def rows() -> Iterator[object]:
    """Yield the rows of the table."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    for row in ROW.finditer(text):
        found = Row(row["arguments"], *(int(row[name]) for name in ("run", "left_out", "status")))
        yield pytest.param(found, id=found.arguments)


def counts(result: pytest.RunResult) -> dict[str, int]:
    """Return the numbers in the last line of a run."""
    last = next((line for line in reversed(result.outlines) if re.search(r" in [\d.]+s", line)), "")
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last)}


def failing() -> Iterator[object]:
    """Yield the rows of the table of failures."""
    for arguments, first, second in FAILING.findall(PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""):
        yield pytest.param(Failing(arguments, int(first), int(second)), id=arguments)


@pytest.mark.parametrize("row", list(rows()))
def test_a_row_does_what_it_says(run: Run, pytester: pytest.Pytester, samples: Path, row: Row) -> None:
    """Tests that ran, tests that were left out, the exit status, and whether anything was reported."""
    words = shlex.split(row.arguments.replace("-n 2", "-n2").replace("-n 0", "-n0"))
    given = [*REPLAY, str(samples), "--qeval-output", "out", *words]
    result = run("-p", "cacheprovider", "-p", "stepwise", *given)
    found = counts(result)

    assert result.ret == row.status, result.stdout.str() + result.stderr.str()
    assert sum(found.get(word, 0) for word in RAN) == row.n_run
    assert found.get("deselected", 0) == row.left_out
    assert (pytester.path / "out" / "report.json").exists() == (row.n_run > 0)


def test_the_table_has_rows() -> None:
    """A table in another form would have no row for the pattern, and every test above would be gone."""
    assert len(list(rows())) + len(list(failing())) == PAGE.read_text(encoding="utf-8").count("\n| `")


@pytest.mark.parametrize("row", list(failing()))
def test_a_row_of_failures_does_what_it_says(
    run: Run, pytester: pytest.Pytester, compared: Sequence[str], row: Failing
) -> None:
    """Both runs, and that none of them evaluates a case twice."""
    for option, package in NEEDS.items():
        if option in row.arguments:
            pytest.importorskip(package)
    words = [part for word in shlex.split(row.arguments.replace("-n 2", "-n2")) for part in plugged(word)]

    for expected, folder in zip((row.first, row.second), ("first", "second"), strict=True):
        result = run("-p", "cacheprovider", "-p", "stepwise", *compared, *words, "--qeval-output", folder)
        found = counts(result)

        assert sum(found.get(word, 0) for word in RAN) == expected, result.stdout.str()
        assert result.ret == (pytest.ExitCode.INTERRUPTED if "--sw" in row.arguments else pytest.ExitCode.TESTS_FAILED)
        records = [record["task_id"] for record in read_records(pytester.path / folder) if record["recipe"] == "replay"]
        assert len(set(records)) == len(records)
        is_whole = found_whole(pytester.path / folder)
        assert (read_report(pytester.path / folder)["verdict"] == "interrupted") != is_whole


def found_whole(folder: Path) -> bool:
    """Return whether a run has all cases that it has planned: then it is not interrupted, however it ended."""
    run = read_report(folder)["run"]
    return bool(run["received"] == run["planned"])


@pytest.fixture
def compared(run: Run, pytester: pytest.Pytester, samples: Path, micro_rows: Sequence[Json]) -> Sequence[str]:
    """Return the arguments of a run whose regressed cases fail; its baseline solves everything."""
    solved = ({"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in micro_rows[:8])
    good = write_samples(pytester.path / "good.jsonl", solved)
    assert run("-p", "no:xdist", *REPLAY, good, "--qeval-save-baseline", "b.json.gz").ret == pytest.ExitCode.OK
    return [*REPLAY, str(samples), "--qeval-baseline", "b.json.gz", "--qeval-strict"]


def plugged(word: str) -> list[str]:
    """Return an argument, after what loads the plugin that knows it: other runs here are without such plugins."""
    name = {"--reruns": "rerunfailures", "--count": "repeat"}.get(word)
    return ["-p", name, word] if name else [word]


@pytest.mark.skipif(find_spec("pytest_qeval.suites") is None, reason="suites lie beside a package that is edited")
def test_a_suite_is_a_module_of_the_package(run: Run, samples: Path) -> None:
    result = run("-p", "no:xdist", *REPLAY, str(samples), "--pyargs", "pytest_qeval.suites.test_micro")

    assert counts(result) == {"passed": 6, "unsolved": 2}


def test_words_are_not_sought_in_the_folder_of_the_suites(run: Run, samples: Path) -> None:
    """`lib/python3.11` is no reason to leave every test out for `-k "not 11"`."""
    folders = suite_files(["micro"])[0].parent.parts[1:]
    result = run("-p", "no:xdist", *REPLAY, str(samples), "-k", " or ".join(folders))

    assert counts(result).get("deselected") == 8


def test_a_name_that_no_test_has_is_refused_by_workers(run: Run, samples: Path) -> None:
    """In the same sentence, which the controller writes."""
    result = run("-n2", *REPLAY, str(samples), "micro::replay-micro/77")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*No test of this run is called 'micro::replay-micro/77'. Did you mean *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_name_that_no_test_has_is_refused(run: Run, samples: Path) -> None:
    result = run("-p", "no:xdist", *REPLAY, str(samples), "micro::replay-micro/77")

    check_refusal(result, "ERROR: No test of this run is called 'micro::replay-micro/77'. Did you mean *")


def test_names_and_files_are_refused(run: Run, samples: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_mine="")
    result = run("-p", "no:xdist", *REPLAY, str(samples), "micro::replay-micro/1", "test_mine.py")

    check_refusal(result, "ERROR: micro::replay-micro/1 is a test of a suite, and test_mine.py a test file*")


def test_collecting_loads_no_model(run: Run) -> None:
    """It lists every test of the embedded model, and loads no weights."""
    result = run(
        *("-p", "no:xdist", "--collect-only", "-q", "--qeval-limit", "2"),
        *("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-suite", "micro"),
    )

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["micro::int8-micro/0", "*4 tests collected*"])
    result.stdout.no_fnmatch_line("*loading*")


@pytest.mark.parametrize("dist", DIST)
def test_every_way_to_distribute_runs_every_case_once(run: Run, samples: Path, dist: str) -> None:
    result = run("-n2", f"--dist={dist}", *REPLAY, str(samples))

    assert result.ret == pytest.ExitCode.OK
    assert counts(result) == {"passed": 6, "unsolved": 2}


def test_a_copy_of_every_test_on_each_worker_is_refused(run: Run, samples: Path) -> None:
    result = run("-n2", "--dist=each", *REPLAY, str(samples))

    check_refusal(result, "ERROR: --dist each would evaluate every case in every worker: leave it out.")


def test_no_distribution_is_one_process(run: Run, samples: Path) -> None:
    result = run("-n2", "--dist=no", *REPLAY, str(samples))

    assert counts(result) == {"passed": 6, "unsolved": 2}
