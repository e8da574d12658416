"""The solutions of perturbed problems pass in the sandbox."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.perturb.base import Perturbation, half_given, perturb_problem
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.golden.sampling import Sample
from tests.sandboxes import strongest_isolation
from tests.unit.perturb.builders import CODE_PERTURBATIONS


def _execute(benchmark: Benchmark, problems: Mapping[str, Problem]) -> Mapping[str, Execution]:
    """Execute every problem with its own solution."""
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures = {
            name: pool.submit(benchmark.program(problem, problem.canonical_solution))
            for name, problem in problems.items()
        }
        return {name: future.result() for name, future in futures.items()}


@pytest.fixture(scope="module")
def humaneval() -> Benchmark:
    """Read the problems once."""
    benchmark: Benchmark = registry.load("benchmarks", "humaneval").load(None)
    return benchmark


def test_every_half_given_problem_passes(humaneval: Benchmark, sample: Sample[str, Problem]) -> None:
    """The first half of a solution in the prompt is continued by its second half."""
    halves = {task_id: half for task_id, problem in humaneval.problems.items() if (half := half_given(problem))}
    executions = _execute(humaneval, sample(halves))

    assert len(halves) == 126
    assert {name: found for name, found in executions.items() if found.status != "passed"} == {}


def test_every_perturbed_problem_passes(humaneval: Benchmark, sample: Sample[str, Problem], step: int) -> None:
    """A perturbation that breaks the solution would be counted against the model."""
    perturbed: dict[str, Problem] = {}
    for name in CODE_PERTURBATIONS:
        perturbation: Perturbation = registry.load("perturbations", name)
        for task_id, problem in sample(humaneval.problems).items():
            nominal = problem if perturbation.form == "full" else half_given(problem)
            changed = perturb_problem(nominal, perturbation, 0) if nominal else None
            if changed and changed != nominal:
                perturbed[f"{task_id}-{name}"] = changed
    executions = _execute(humaneval, perturbed)

    assert len(perturbed) == {1: 2129, 8: 294}[step]
    assert {name: found for name, found in executions.items() if found.status != "passed"} == {}
