"""References of HumanEval in JavaScript pass, and broken bodies fail."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_qeval.benchmarks.javascript.humaneval import HUMANEVAL_JS
from pytest_qeval.benchmarks.selftest import make_completion
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.golden.sampling import Sample
from tests.javascript import DATA, needs_data, needs_node
from tests.sandboxes import strongest_isolation

pytestmark = [needs_node, needs_data]


def _execute(recipe: str, sample: Sample[str, Problem]) -> Mapping[str, Execution]:
    """Execute the completions of a recipe of the self-test."""
    benchmark = HUMANEVAL_JS.load(DATA)
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures = {
            task_id: pool.submit(benchmark.program(problem, make_completion(recipe, problem, benchmark)))
            for task_id, problem in sample(benchmark.problems).items()
        }
        return {task_id: future.result() for task_id, future in futures.items()}


def test_every_reference_passes(sample: Sample[str, Problem]) -> None:
    """A harness that fails a correct program measures itself."""
    executions = _execute("reference", sample)

    assert {task_id: found for task_id, found in executions.items() if found.status != "passed"} == {}


def test_no_forgery_passes(sample: Sample[str, Problem]) -> None:
    """Each of the tricks is tried."""
    executions = _execute("spoof", sample)

    assert {found.status for found in executions.values()} <= {"failed", "error", "tampered", "timeout"}
