"""Every reference passes in each shape that a chat model may write, and a completion without the function in none."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from zlib import crc32

import pytest

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.humaneval import HUMANEVAL
from pytest_qeval.benchmarks.mbpp import MBPP, MBPP_FUNCTION
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.golden.sampling import Sample
from tests.sandboxes import strongest_isolation
from tests.unit.benchmarks.completions import DATA, HAS_MBPP, has_body, whole_of

BENCHMARKS = [HUMANEVAL, *([MBPP, MBPP_FUNCTION] if HAS_MBPP else [])]

SHAPES: tuple[Callable[[Problem], str], ...] = (
    whole_of,
    lambda problem: f"Here you are:\n\n```python\n{whole_of(problem)}```\n\nIt works, doesn't it?",
    lambda problem: f"{whole_of(problem)}\n\nprint({problem.entry_point}(int(input())))\nassert False\n".replace(
        "\n", "\r\n"
    ),
    lambda problem: f"```\n{whole_of(problem)}\n\ndef cut_off(x):\n    return (x +",
    lambda problem: problem.canonical_solution if has_body(problem) else whole_of(problem),
    lambda problem: textwrap.dedent(problem.canonical_solution) + "\n\nSo it is done.",
    lambda problem: f"Sure, let's see.\n{whole_of(problem)}\nThe idea is simple.",
)

WITHOUT_FUNCTION = {
    "I would rather not.": "the program defines no function",
    "```python\ndef something_else():\n    return 1\n```": "the program defines no function",
    "print('passed')\nexit(0)": "",
}
"""Completions, and what the detail of their executions says."""


def _execute(
    benchmark: Benchmark, problems: Mapping[str, Problem], completion: Callable[[Problem], str]
) -> Mapping[str, Execution]:
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures = {
            key: pool.submit(benchmark.program(problem, completion(problem), "chat"))
            for key, problem in problems.items()
        }
        return {key: future.result() for key, future in futures.items()}


@pytest.mark.parametrize("source", BENCHMARKS, ids=lambda source: source.name)
def test_references_pass_in_any_shape(source: BenchmarkSource, sample: Sample[str, Problem]) -> None:
    """One shape per problem, all shapes about as often."""
    benchmark = _load(source)

    def completion(problem: Problem) -> str:
        return SHAPES[crc32(problem.task_id.encode()) % len(SHAPES)](problem)

    executions = _execute(benchmark, sample(benchmark.problems), completion)

    assert {key: found for key, found in executions.items() if found.status != "passed"} == {}


@pytest.mark.parametrize("source", BENCHMARKS, ids=lambda source: source.name)
def test_no_completion_without_the_function_passes(source: BenchmarkSource, sample: Sample[str, Problem]) -> None:
    """The prompt's own unfinished function does not count, and the detail says what is missing."""
    benchmark = _load(source)
    few = sample(dict(list(benchmark.problems.items())[:40]))
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures = [
            (detail, pool.submit(benchmark.program(problem, completion, "chat")))
            for completion, detail in WITHOUT_FUNCTION.items()
            for problem in few.values()
        ]
        executions = [(detail, future.result()) for detail, future in futures]

    assert {execution.status for _, execution in executions} == {"error"}
    assert all(detail in execution.detail for detail, execution in executions)


def _load(source: BenchmarkSource) -> Benchmark:
    return source.load(DATA if HAS_MBPP else None)
