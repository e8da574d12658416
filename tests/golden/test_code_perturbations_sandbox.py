"""Perturbed problems can be solved: their own solutions pass in the sandbox, whatever was done to the question."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.perturb.base import Perturbation, half_given, perturb_problem
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.unit.perturb.builders import CODE_PERTURBATIONS


def _execute(benchmark: Benchmark, problems: Mapping[str, Problem]) -> Mapping[str, Execution]:
    """Execute every problem with its own solution."""
    with SandboxPool(ExecutionSettings(timeout_s=20.0, workers=2)) as pool:
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


def test_every_half_given_problem_passes(humaneval: Benchmark) -> None:
    """What is moved into the prompt is continued by what is left."""
    halves = {task_id: half for task_id, problem in humaneval.problems.items() if (half := half_given(problem))}
    executions = _execute(humaneval, halves)

    assert len(executions) == 126
    assert {name: found for name, found in executions.items() if found.status != "passed"} == {}


def test_every_perturbed_problem_passes(humaneval: Benchmark) -> None:
    """A perturbation whose own solution fails would blame the model for it."""
    perturbed: dict[str, Problem] = {}
    for name in CODE_PERTURBATIONS:
        perturbation: Perturbation = registry.load("perturbations", name)
        for task_id, problem in humaneval.problems.items():
            asked = problem if perturbation.form == "full" else half_given(problem)
            changed = perturb_problem(asked, perturbation, 0) if asked else None
            if changed and changed != asked:
                perturbed[f"{task_id}-{name}"] = changed
    executions = _execute(humaneval, perturbed)

    assert len(executions) == 2129
    assert {name: found for name, found in executions.items() if found.status != "passed"} == {}
