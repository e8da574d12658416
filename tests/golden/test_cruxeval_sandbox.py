"""CRUXEval's references pass, and broken completions fail, in both directions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.cruxeval.assertions import AssertionBenchmark
from pytest_qeval.benchmarks.cruxeval.input import CRUXEVAL_INPUT
from pytest_qeval.benchmarks.cruxeval.output import CRUXEVAL_OUTPUT
from pytest_qeval.benchmarks.selftest import RECIPES, make_completion
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.golden.sampling import Sample
from tests.plugin.runs import write_samples
from tests.sandboxes import strongest_isolation

Run = Callable[..., pytest.RunResult]

_SHARED = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
_DATA = next((folder for folder in (_SHARED, _SHARED / "bench") if (folder / "cruxeval.jsonl").is_file()), None)
_FUNCTIONS = ("CRUXEval-I/344", "CRUXEval-I/364")
"""Problems with a function among the arguments."""
_GLOBALS = ("CRUXEval-I/51", "CRUXEval-I/258", "CRUXEval-I/280", "CRUXEval-I/712")
"""Problems with more than a function in their code."""

pytestmark = pytest.mark.skipif(
    _DATA is None,
    reason="CRUXEval's data is not part of this project: let QEVAL_TEST_DATA name a folder with cruxeval.jsonl",
)


@pytest.fixture(scope="module", params=[CRUXEVAL_OUTPUT, CRUXEVAL_INPUT], ids=lambda source: source.name)
def benchmark(request: pytest.FixtureRequest) -> AssertionBenchmark:
    """Return both directions in turn."""
    found: AssertionBenchmark = request.param.load(_DATA)
    return found


def _execute(benchmark: AssertionBenchmark, problems: Mapping[str, Problem], recipe: str) -> Mapping[str, Execution]:
    """Execute the completions of one of the self-test's recipes."""
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures = {
            task_id: pool.submit(benchmark.program(problem, make_completion(recipe, problem, benchmark)))
            for task_id, problem in problems.items()
        }
        return {task_id: future.result() for task_id, future in futures.items()}


def test_no_problem_is_missing(benchmark: AssertionBenchmark) -> None:
    letter = "O" if benchmark.name == "cruxeval-output" else "I"

    assert list(benchmark.problems) == [f"CRUXEval-{letter}/{number}" for number in range(800)]
    assert benchmark.excluded == {}


def test_every_reference_passes(benchmark: AssertionBenchmark, sample: Sample[str, Problem]) -> None:
    """Those with functions among the arguments, and with further names in their code, as well."""
    special = {
        task_id: benchmark.problems[task_id] for task_id in (*_FUNCTIONS, *_GLOBALS) if task_id in benchmark.problems
    }
    executions = _execute(benchmark, {**sample(benchmark.problems), **special}, "reference")

    assert {task_id: found for task_id, found in executions.items() if found.status != "passed"} == {}


def test_no_broken_completion_passes(benchmark: AssertionBenchmark, sample: Sample[str, Problem]) -> None:
    """A harness that passes anything tests nothing."""
    problems = dict(list(sample(benchmark.problems).items())[::3])
    for recipe in RECIPES:
        if recipe != "reference":
            executions = _execute(benchmark, problems, recipe)
            assert [task_id for task_id, found in executions.items() if found.status == "passed"] == []


def test_samples_choose_their_suites(run: Run, pytester: pytest.Pytester) -> None:
    """By the task ids of both directions; a perturbed direction is refused."""
    rows = ({"task_id": f"CRUXEval-{letter}/0", "completion": " [1]"} for letter in "OI")
    name = write_samples(pytester.path / "completions.jsonl", rows)
    options = (f"--qeval-sandbox={strongest_isolation()}", "--qeval-data", str(_DATA), "--qeval-limit", "1")
    result = run(*options, "--qeval-completions", name)
    perturbed = run(*options, "--qeval-selftest", "--qeval-suite=robustness", "--qeval-benchmark=cruxeval-input")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["cruxeval-input * solved *", "cruxeval-output * solved *"])
    assert perturbed.ret == pytest.ExitCode.USAGE_ERROR
    perturbed.stderr.fnmatch_lines(["ERROR: the prompt of cruxeval-input cannot be perturbed, since it ends within *"])
