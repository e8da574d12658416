"""HumanEval+ and MBPP+ as suites: the self-test covers them, and a failure on an added input says so."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

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
    content = "".join(json.dumps(row) + "\n" for row in ROWS)
    pytester.mkdir("data").joinpath("HumanEvalPlus.jsonl").write_text(content, encoding="utf-8")


def test_the_self_test_covers_it(run: Run, mode: tuple[str, ...]) -> None:
    """References pass, broken and hostile bodies fail."""
    result = run(*mode, "--qeval-selftest", "--qeval-suite", "humaneval-plus", "--qeval-data", "data")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["self-test: humaneval-plus: 2 of 2 references pass, 6 of 6 broken bodies fail"])


def test_a_failure_on_an_added_input_alone_says_so(run: Run, pytester: pytest.Pytester) -> None:
    """In the reason of the case and in the report, whose benchmark has a version and a checksum."""
    completions = ["    return b\n", "    return a if a > b else b\n"]
    answers = [{"task_id": row["task_id"], "completion": text} for row, text in zip(ROWS, completions, strict=True)]
    pytester.path.joinpath("answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    result = run(
        "--qeval-completions", "answers.jsonl", "--qeval-suite", "humaneval-plus", "--qeval-data", "data",
        "--qeval-gate", "humaneval-plus:pass@1 >= 0.5", "--qeval-output", "out", "-rx",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    lines = (pytester.path / "out" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [row for row in map(json.loads, lines) if row["type"] == "record"]
    details = [record["samples"][0]["execution"]["detail"] for record in records]
    assert details == ["plus input 0: bigger(3, -4) gave -4, expected 3", ""]
    report = json.loads((pytester.path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["benchmarks"]["humaneval-plus"]["version"] == "unknown"
