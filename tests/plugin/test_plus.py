"""HumanEval+ and MBPP+ as suites: the self-test covers them, and a failure on an added input says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plugin.runs import read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]

ROWS = [
    {
        "task_id": f"HumanEval/{number}",
        "prompt": "def bigger(a, b):\n",
        "contract": "",
        "canonical_solution": "    return max(a, b)\n",
        "entry_point": "bigger",
        "base_input": [[1, 2]],
        "plus_input": [[3, -4], [0.5, 0.25]],
        "atol": 0,
    }
    for number in range(2)
]


@pytest.fixture(autouse=True)
def data(pytester: pytest.Pytester) -> None:
    """Lay a small file of that form into the project."""
    write_samples(pytester.mkdir("data") / "HumanEvalPlus.jsonl", ROWS)


def test_the_self_test_covers_it(run: Run) -> None:
    """References pass, broken and hostile bodies fail."""
    result = run("--qeval-selftest", "--qeval-suite", "humaneval-plus", "--qeval-data", "data")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["self-test: humaneval-plus: 2 of 2 references pass, 6 of 6 broken bodies fail"])


def test_a_failure_on_an_added_input_alone_says_so(run: Run, pytester: pytest.Pytester) -> None:
    """In the reason of the case and in the report, whose benchmark has a version and a checksum."""
    completions = ["    return b\n", "    return a if a > b else b\n"]
    rows = ({"task_id": row["task_id"], "completion": text} for row, text in zip(ROWS, completions, strict=True))
    result = run(
        "--qeval-completions", write_samples(pytester.path / "completions.jsonl", rows),
        "--qeval-suite", "humaneval-plus", "--qeval-data", "data",
        "--qeval-gate", "humaneval-plus:pass@1 >= 0.5", "--qeval-output", "out", "-rx",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    details = [record["samples"][0]["execution"]["detail"] for record in read_records(pytester.path / "out")]
    assert details == ["plus input 0: bigger(3, -4) gave -4, expected 3", ""]
    report = read_report(pytester.path / "out")
    assert report["benchmarks"]["humaneval-plus"]["version"] == "unknown"
