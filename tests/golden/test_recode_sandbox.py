"""What ReCode released is no question where its own solution does not pass: the sandbox finds what the text hides."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.perturb.perturbed_problems import perturb_problems
from pytest_qeval.perturb.recode_files import recode_perturbation
from pytest_qeval.settings import ExecutionSettings
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
def test_what_execution_refuses(name: str, failing: Collection[int]) -> None:
    """These are the rows that the text alone cannot tell from questions."""
    benchmark: Benchmark = registry.load("benchmarks", "humaneval").load(None)
    asked = perturb_problems(benchmark.problems.values(), [recode_perturbation(DATA, name)], seeds=None).problems
    with SandboxPool(ExecutionSettings(timeout_s=20.0, workers=2)) as pool:
        futures = {
            case.task_id: pool.submit(benchmark.program(problem, problem.canonical_solution))
            for case, problem in asked.items()
            if case.perturbation == f"recode:{name}"
        }
        refused = {task_id for task_id, future in futures.items() if future.result().status != "passed"}

    assert refused == {f"HumanEval/{number}" for number in failing}
