"""A user's own problems: a file beside the test, or a benchmark made in Python."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import WRONG, write_samples

Run = Callable[..., pytest.RunResult]

MODES = pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ROW: Json = {
    "task_id": "t/0",
    "prompt": "def f(n):\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    "canonical_solution": "    return n\n",
}
SUITE = "import pytest\n@pytest.mark.qeval({argument})\ndef test_mine(qeval, case): qeval(case)\n"


@pytest.fixture
def example(pytester: pytest.Pytester) -> Sequence[Json]:
    """Copy the documented example into the project, and return its problems."""
    if not EXAMPLES.is_dir():
        pytest.skip("an installed package has no documentation beside its tests")
    for name in ("ours.jsonl", "test_ours.py"):
        shutil.copy(EXAMPLES / name, pytester.path)
    return [json.loads(line) for line in (EXAMPLES / "ours.jsonl").read_text(encoding="utf-8").splitlines()]


def complete(pytester: pytest.Pytester, rows: Sequence[Json], *, right: int) -> str:
    """Write samples of which the first so many are right."""
    completions = (
        {"task_id": row["task_id"], "completion": row["canonical_solution"] if index < right else WRONG}
        for index, row in enumerate(rows)
    )
    return write_samples(pytester.path / "completions.jsonl", completions)


def output_of(result: pytest.RunResult) -> str:
    """Return both streams: a controller of workers refuses on the first, one process on the second."""
    return f"{result.stdout}\n{result.stderr}"


@MODES
@pytest.mark.usefixtures("example")
def test_the_self_test_covers_the_example(run: Run, mode: tuple[str, ...]) -> None:
    """The documented command: references pass, broken bodies fail."""
    result = run(*mode, "--qeval-selftest", "test_ours.py")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["self-test: ours: 4 of 4 references pass, 12 of 12 broken bodies fail"])


@pytest.mark.usefixtures("example")
def test_the_example_compares_recipes_of_a_model(run: Run, pytester: pytest.Pytester) -> None:
    """Baseline, candidate and a gate that names the file's stem; demo solves none, so that nothing could drop."""
    result = run(
        "--qeval-model", "demo", "--qeval-recipe", "w2a16", "--qeval-gate", "ours:pass@1 >= 0",
        "--qeval-max-new-tokens", "8", "--qeval-limit", "2", "--qeval-output", "out", "test_ours.py",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    report = json.loads((pytester.path / "out" / "report.json").read_text(encoding="utf-8"))
    ours = report["benchmarks"]["ours"]
    assert ours["problems"] == 4
    assert ours["results"].keys() == {"auto", "w2a16"}
    assert ours["comparisons"].keys() == {"w2a16"}
    assert [gate["outcome"] for gate in report["gates"]] == ["pass"]


@MODES
def test_a_gate_names_the_file(
    run: Run, pytester: pytest.Pytester, example: Sequence[Json], mode: tuple[str, ...]
) -> None:
    """The exit status follows from how many of the user's problems are solved."""
    for right, status in ((3, pytest.ExitCode.OK), (1, pytest.ExitCode.TESTS_FAILED)):
        samples = complete(pytester, example, right=right)
        result = run(*mode, "--qeval-completions", samples, "--qeval-gate", "ours:pass@1 >= 0.5", "test_ours.py")

        assert result.ret == status


@MODES
def test_a_gate_on_another_benchmark_is_refused(
    run: Run, pytester: pytest.Pytester, example: Sequence[Json], mode: tuple[str, ...]
) -> None:
    """As soon as the benchmarks of the run are known."""
    samples = complete(pytester, example, right=1)
    result = run(*mode, "--qeval-completions", samples, "--qeval-gate", "hours:pass@1 >= 0.5", "test_ours.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Did you mean 'ours'?" in output_of(result)
    assert not (pytester.path / ".qeval").exists()


def test_limit_and_selection_work_as_ever(run: Run, pytester: pytest.Pytester, example: Sequence[Json]) -> None:
    """A user's cases are ordinary test items."""
    samples = complete(pytester, example, right=4)
    for arguments in (("--qeval-limit", "2"), ("-k", "ours/1 or ours/3")):
        result = run("--qeval-completions", samples, "test_ours.py", *arguments)

        assert result.parseoutcomes()["passed"] == 2


def test_files_are_looked_for_beside_the_test(run: Run, pytester: pytest.Pytester) -> None:
    """Wherever pytest is started; a compressed one is as good, and a benchmark is called like its file."""
    folder = pytester.mkdir("deep")
    folder.joinpath("mine.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode()))
    folder.joinpath("test_mine.py").write_text(SUITE.format(argument="'mine.jsonl.gz'"), encoding="utf-8")
    result = run("--qeval-selftest", "deep/test_mine.py")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["self-test: mine: 1 of 1 references pass, 3 of 3 broken bodies fail"])


@MODES
def test_several_benchmarks_in_one_run(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Registered ones, files and objects may stand side by side, under one marker or several."""
    pytester.path.joinpath("one.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
    pytester.makepyfile(
        test_both=f"""
        import pytest
        from pytest_qeval.benchmarks.custom import make_benchmark

        @pytest.mark.qeval("one.jsonl", make_benchmark("two", [{ROW!r}]), "micro")
        def test_both(qeval, case): qeval(case)

        @pytest.mark.qeval("one.jsonl")
        def test_again(qeval, case): qeval(case)
        """
    )
    result = run(*mode, "--qeval-selftest", "--qeval-limit", "1", "test_both.py")

    assert result.ret == pytest.ExitCode.OK
    for name in ("micro", "one", "two"):
        result.stdout.fnmatch_lines([f"self-test: {name}: 1 of 1 references pass*"])


GOOD = json.dumps(ROW)


@MODES
def test_a_broken_file_ends_the_session_before_anything_runs(
    run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]
) -> None:
    """One sentence with file and line, exit status 4; no model, no folder of reports."""
    pytester.path.joinpath("bad.jsonl").write_text(f"{GOOD}\n{GOOD[:-20]}", encoding="utf-8")
    pytester.makepyfile(test_mine=SUITE.format(argument="'bad.jsonl'"))
    result = run(*mode, "--qeval-model", "demo", "test_mine.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "bad.jsonl, line 2: not JSON" in output_of(result)
    assert "Traceback" not in output_of(result)
    assert not (pytester.path / ".qeval").exists()


MISUSED = {
    "no file": ("'none.jsonl'", "there is no file", "name it relative to the folder"),
    "a number": ("3", "expects the name of a benchmark, a *.jsonl file or a Benchmark, not int", ""),
    "a name that is taken": ("'humaneval.jsonl'", "there is a benchmark 'humaneval' already", "rename this one"),
    "no name for a gate": ("'my problems.jsonl'", "'my problems' cannot be the name of a benchmark", "rename it"),
    "two of one name": ("'good.jsonl', 'other/good.jsonl'", "another benchmark of this run is called 'good', too", ""),
}


@pytest.mark.parametrize(("argument", "found", "remedy"), MISUSED.values(), ids=MISUSED.keys())
def test_a_wrong_marker_is_refused(run: Run, pytester: pytest.Pytester, argument: str, found: str, remedy: str) -> None:
    """A sentence that says what to do, exit status 4."""
    for name in ("humaneval.jsonl", "my problems.jsonl", "good.jsonl"):
        pytester.path.joinpath(name).write_text(GOOD, encoding="utf-8")
    pytester.mkdir("other").joinpath("good.jsonl").write_text(json.dumps(ROW | {"task_id": "t/1"}), encoding="utf-8")
    pytester.makepyfile(test_mine=SUITE.format(argument=argument))
    result = run("--qeval-selftest", "test_mine.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert found in output_of(result)
    assert remedy in output_of(result)
    assert not (pytester.path / ".qeval").exists()
