"""Several benchmarks of one run together: the prospect before it, the pool and its gate after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import WRONG, check_refusal, read_report, write_samples

Run = Callable[..., pytest.RunResult]

NAMES = ("first", "second")


def row(name: str, number: int) -> Json:
    """Return a problem; two after one another share a cluster, across both files."""
    return {
        "task_id": f"{name}/{number}",
        "prompt": f"def f{number}(n):\n",
        "entry_point": f"f{number}",
        "test": f"def check(candidate):\n    assert candidate(1) == {number}\n",
        "canonical_solution": f"    return {number} * n\n",
        "cluster": f"module {number // 2}",
    }


@pytest.fixture
def evaluate(run: Run, pytester: pytest.Pytester) -> Run:
    """Replay completions of two benchmarks, of which the first problem is wrong in the second run."""
    rows = {name: [row(name, number) for number in range(1, 5)] for name in NAMES}
    for name, problems in rows.items():
        lines = "".join(json.dumps(problem) + "\n" for problem in problems)
        (pytester.path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        (pytester.path / f"test_{name}.py").write_text(
            f"import pytest\n@pytest.mark.qeval('{name}.jsonl')\ndef test_it(qeval, case): qeval(case)\n",
            encoding="utf-8",
        )
    right = [
        {"task_id": one["task_id"], "completion": one["canonical_solution"]} for own in rows.values() for one in own
    ]
    write_samples(pytester.path / "a.samples.jsonl", right)
    write_samples(pytester.path / "b.samples.jsonl", [{**right[0], "completion": WRONG}, *right[1:]])
    return lambda *more: run(*(f"test_{name}.py" for name in NAMES), *more)


def test_a_pool_is_foretold_shown_and_judged(evaluate: Run, pytester: pytest.Pytester) -> None:
    """From the first line to the exit status; the report has the parts."""
    evaluate("--qeval-completions", "a.samples.jsonl", "--qeval-save-baseline", "a.json.gz")
    gate = ("--qeval-gate", "all:pass@1 drop <= 10pt")
    result = evaluate(
        *("--qeval-completions", "b.samples.jsonl", "--qeval-baseline", "a.json.gz", "--qeval-output", "out"), *gate
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "qeval: first: 4 problems from 3 sources can rule out*",
            "qeval: all benchmarks together: 8 problems from * sources can rule out*; 10 points take about*",
            "all benchmarks, replay against replay (saved): −12.5 pt *; unproven at a margin of 10 pt",
            "*FAIL  all:pass@1 drop <= 10pt  (replay, all): observed 12.5 pt, required <= 10.0 pt; unproven",
        ]
    )
    report = read_report(pytester.path / "out")
    assert report["benchmarks"]["first"]["clusters"] == 3
    assert [part["problems"] for part in report["pooled"]["replay"]["strata"]] == [4, 4]
    assert report["pooled"]["replay"]["delta"]["method"].endswith("of clusters")


def test_the_name_of_the_pool_is_taken(run: Run, pytester: pytest.Pytester) -> None:
    """A benchmark of this name could not be told from it in a gate."""
    (pytester.path / "all.jsonl").write_text(json.dumps(row("all", 1)) + "\n", encoding="utf-8")
    suite: Path = pytester.path / "test_all.py"
    suite.write_text("import pytest\n@pytest.mark.qeval('all.jsonl')\ndef test_it(qeval, case): qeval(case)\n")
    write_samples(pytester.path / "own.samples.jsonl", [{"task_id": "all/1", "completion": WRONG}])
    result = run("--qeval-completions", "own.samples.jsonl", "test_all.py")

    check_refusal(result, "*'all' stands for all benchmarks of a run in gates: rename this one.*")
