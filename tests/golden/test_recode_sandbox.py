"""ReCode's rows whose own solution does not pass are found by the sandbox."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.perturb.perturbed_problems import perturb_problems
from pytest_qeval.perturb.recode_files import recode_perturbation
from pytest_qeval.schema import Case, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.golden.sampling import Sample
from tests.sandboxes import strongest_isolation
from tests.unit.perturb.builders import DATA, needs_recode

pytestmark = needs_recode


@pytest.mark.parametrize(
    ("name", "failing"),
    [
        ("FuncRenameButterFinger", {63}),  # recursive, and its solution calls the old name
        ("FuncRenameInflectionalVariation", {55}),  # likewise
        ("ForWhileTransformer", {75, 91, 95, 150}),  # an endless loop, a backslash lost, two loops broken
        ("OperandSwap", {91}),
        ("split_lines", set()),
        ("SynonymInsertion", set()),
    ],
)
def test_rows_that_fail_are_found(name: str, failing: Collection[int], sample: Sample[Case, Problem]) -> None:
    """Nothing in the text of these rows shows that they fail."""
    benchmark: Benchmark = registry.load("benchmarks", "humaneval").load(None)
    perturbation = recode_perturbation(DATA, name)
    problems = perturb_problems(benchmark.problems.values(), [perturbation], seeds=None).problems
    rows = {case: problem for case, problem in problems.items() if case.perturbation == f"recode:{name}"}
    expected = {f"HumanEval/{number}" for number in failing}
    chosen = {**sample(rows), **{case: problem for case, problem in rows.items() if case.task_id in expected}}
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=2.0, workers=2)) as pool:
        futures = {
            case.task_id: pool.submit(benchmark.program(problem, problem.canonical_solution))
            for case, problem in chosen.items()
        }
        refused = {task_id for task_id, future in futures.items() if future.result().status != "passed"}

    assert refused == expected
