"""CRUXEval's two directions as suites, on two programs in the published form."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plugin.runs import read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]

SUITE = """
from dataclasses import replace

import pytest

from pytest_qeval.benchmarks.cruxeval.input import InputBenchmark, make_problem as ask_input
from pytest_qeval.benchmarks.cruxeval.output import OutputBenchmark, make_problem as ask_output
from pytest_qeval.benchmarks.cruxeval.rows import CruxRow

ROWS = [
    CruxRow(number=0, code="def f(a, b):\\n    return a + b", arguments="'a', 'b'", output="'ab'"),
    CruxRow(number=1, code="def f(n):\\n    return [n] * n", arguments="3", output="[3, 3, 3]"),
]

def benchmark(kind, name, ask):
    problems = {problem.task_id: replace(problem, benchmark=name) for problem in map(ask, ROWS)}
    return kind(name=name, version="1", sha256="0" * 64, problems=problems)

@pytest.mark.MARKER(benchmark(OutputBenchmark, "crux-output", ask_output))
def test_output(qeval, case):
    qeval(case)

@pytest.mark.MARKER(benchmark(InputBenchmark, "crux-input", ask_input))
def test_input(qeval, case):
    qeval(case)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> str:
    """Write both suites, and return the name of their file."""
    pytester.makepyfile(test_crux=SUITE.replace("MARKER", "qeval"))
    return "test_crux.py"


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_the_self_test_covers_both(run: Run, suite: str, mode: tuple[str, ...]) -> None:
    """References pass; broken and hostile expressions fail."""
    result = run(*mode, "--qeval-selftest", suite)

    assert result.ret == pytest.ExitCode.OK
    for name in ("output", "input"):
        result.stdout.fnmatch_lines([f"self-test: crux-{name}: 2 of 2 references pass, 6 of 6 broken bodies fail"])


def test_a_replay_is_judged(run: Run, suite: str, pytester: pytest.Pytester) -> None:
    """Any arguments that work are right; a value that is computed by a call is not. The samples can be replayed."""
    completions = {
        "CRUXEval-O/0": " f('a', 'b')",
        "CRUXEval-O/1": " [3, 3, 3]  # three times\n\ndef f(n):\n",
        "CRUXEval-I/0": "('', b='ab')",
        "CRUXEval-I/1": "(2)",
    }
    rows = ({"task_id": task_id, "completion": text} for task_id, text in completions.items())
    name = write_samples(pytester.path / "completions.jsonl", rows)
    first = run("--qeval-completions", name, "--qeval-output", "out", suite)
    second = run("--qeval-completions", "out/samples.jsonl", "--qeval-output", "again", suite)

    assert first.ret == second.ret == pytest.ExitCode.OK
    for folder in ("out", "again"):
        found = {one["task_id"]: one["samples"][0] for one in read_records(pytester.path / folder)}
        assert {task_id: one["execution"]["status"] for task_id, one in found.items()} == {
            "CRUXEval-O/0": "failed", "CRUXEval-O/1": "passed", "CRUXEval-I/0": "passed", "CRUXEval-I/1": "failed",
        }  # fmt: skip
        assert found["CRUXEval-O/0"]["execution"]["detail"].startswith("the completion is no literal")
        assert found["CRUXEval-I/1"]["execution"]["detail"] == "it returns [2, 2], not [3, 3, 3]"
        assert list(read_report(pytester.path / folder)["benchmarks"]) == ["crux-output", "crux-input"]


def test_perturbing_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    """One sentence, and exit status 4."""
    pytester.makepyfile(test_crux=SUITE.replace("MARKER", "qeval_robustness"))
    result = run("--qeval-selftest", "test_crux.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: the prompt of crux-output cannot be perturbed, since it ends within an assertion: perturbations *"]
    )
