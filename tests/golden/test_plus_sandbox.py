"""HumanEval+ and MBPP+ as evalplus publishes them: every reference passes, and what only added inputs find does not.

The whole takes minutes and runs with `-m golden`. The problems below run always: those that are slow, whose results are
large, and whose results do not leave the program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.plus.editions import HUMANEVAL_PLUS, MBPP_PLUS
from pytest_qeval.benchmarks.selftest import RECIPES, make_completion
from pytest_qeval.execution.pacing import PacedPool
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation

Execute = Callable[[Callable[[Problem, Benchmark], str], Callable[[str], bool]], Mapping[str, Execution]]

_DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "bench"

pytestmark = pytest.mark.skipif(
    not all((_DATA / name).is_file() for name in ("HumanEvalPlus.jsonl.gz", "MbppPlus.jsonl.gz")),
    reason="evalplus' data is not part of this project: let QEVAL_TEST_DATA name a folder with bench/*Plus.jsonl.gz",
)

HARD = (
    *("HumanEval/15", "HumanEval/130", "Mbpp/630"),  # results of some MiB
    "Mbpp/255",  # a result of more than a GiB
    *("Mbpp/737", "Mbpp/794"),  # matches of regular expressions
    *("HumanEval/32", "Mbpp/581"),  # several right results
    *("HumanEval/38", "HumanEval/50"),  # a thousand inputs, of helpers in the prompt
)
FOUND_BY_ADDED_INPUTS = {
    "HumanEval/0": (
        "    ordered = sorted(numbers)\n    near = any(b - a < threshold for a, b in zip(ordered, ordered[1:]))\n"
        "    return near and len(numbers) < 9\n"
    ),
    "HumanEval/2": "    return number - int(number) if number < 1000 else 0.0\n",
    "HumanEval/22": "    return [value for value in values if type(value) is int and value < 10]\n",
    "HumanEval/23": "    return min(len(string), 20)\n",
    "HumanEval/35": "    best = 0\n    for x in l:\n        best = max(best, x)\n    return best\n",
    "HumanEval/53": "    return abs(x) + abs(y)\n",
    "Mbpp/4": "def heap_queue_largest(nums, n):\n    return sorted(set(nums), reverse=True)[:n]\n",
    "Mbpp/8": "def square_nums(nums):\n    return [n * n for n in nums if n > 0]\n",
    "Mbpp/283": "def validate(n):\n    return n < 10**5 and all(str(n).count(d) <= int(d) for d in str(n))\n",
}
"""Completions that are right on the inputs of the original benchmark."""


@pytest.fixture(scope="module")
def benchmarks() -> tuple[Benchmark, ...]:
    """Return both."""
    return HUMANEVAL_PLUS.load(_DATA), MBPP_PLUS.load(_DATA)


@pytest.fixture(scope="module")
def pool() -> Iterator[PacedPool]:
    """Return sandboxes whose limits follow from the references, which are measured once for all tests."""
    settings = ExecutionSettings(isolation=strongest_isolation(), workers=2)
    with SandboxPool(settings) as sandboxes:
        yield PacedPool(sandboxes, timeout_s=settings.timeout_s)


@pytest.fixture(scope="module")
def execute(benchmarks: tuple[Benchmark, ...], pool: PacedPool) -> Execute:
    """Return a function that executes the completions of problems that it is told to take."""

    def execute_completions(
        completion: Callable[[Problem, Benchmark], str], is_taken: Callable[[str], bool]
    ) -> Mapping[str, Execution]:
        futures = {
            task_id: pool.submit(benchmark.program(problem, completion(problem, benchmark)))
            for benchmark in benchmarks
            for task_id, problem in benchmark.problems.items()
            if is_taken(task_id)
        }
        return {task_id: future.result() for task_id, future in futures.items()}

    return execute_completions


def _of_status(executions: Mapping[str, Execution], *statuses: str) -> Mapping[str, Execution]:
    return {task_id: found for task_id, found in executions.items() if found.status in statuses}


@pytest.mark.parametrize("source", [HUMANEVAL_PLUS, MBPP_PLUS], ids=lambda source: source.name)
def test_the_published_files_are_known_and_whole(source: BenchmarkSource) -> None:
    """No problem is left out, and each shares its cluster with the problem that it extends."""
    benchmark = source.load(_DATA)
    first = {"humaneval-plus": "HumanEval/0", "mbpp-plus": "MBPP/2"}[source.name]

    assert benchmark.version == {"humaneval-plus": "0.1.10", "mbpp-plus": "0.2.0"}[source.name]
    assert len(benchmark.problems) == {"humaneval-plus": 164, "mbpp-plus": 378}[source.name]
    assert benchmark.excluded == {}
    assert next(iter(benchmark.problems.values())).cluster == first


def test_every_reference_passes(execute: Execute, step: int) -> None:
    """Within the limits that it sets itself."""
    executions = execute(lambda problem, _: problem.canonical_solution, lambda task_id: step == 1 or task_id in HARD)

    assert len(executions) == (542 if step == 1 else len(HARD))
    assert executions == _of_status(executions, "passed")


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe != "reference"])
def test_no_broken_completion_passes(execute: Execute, step: int, recipe: str) -> None:
    """Nor takes one long where the reference does."""
    executions = execute(partial(make_completion, recipe), lambda task_id: step == 1 or task_id in HARD)

    assert executions == _of_status(executions, "failed", "error", "tampered")


def test_added_inputs_find_what_the_original_ones_do_not(execute: Execute) -> None:
    """The verdict names the added input."""
    wrong = FOUND_BY_ADDED_INPUTS
    executions = execute(lambda problem, _: wrong[problem.task_id], wrong.__contains__)

    assert executions.keys() == wrong.keys()
    assert executions == _of_status(executions, "failed")
    assert [found.detail for found in executions.values() if not found.detail.startswith("plus input ")] == []
