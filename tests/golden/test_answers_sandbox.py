"""Every reference passes in whatever shape a chat model might have written it, and a wrong answer in none."""

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


def _execute(benchmark: Benchmark, answer: Callable[[Problem], str]) -> Mapping[str, Execution]:
    with SandboxPool(ExecutionSettings(timeout_s=20.0, workers=2)) as pool:
        problems = benchmark.problems.items()
        futures = {key: pool.submit(benchmark.program(problem, answer(problem), "chat")) for key, problem in problems}
        return {key: future.result() for key, future in futures.items()}


@pytest.mark.parametrize("source", BENCHMARKS, ids=lambda source: source.name)
def test_references_pass_in_any_shape(source: BenchmarkSource) -> None:
    """One shape a problem, all shapes about as often."""
    benchmark = _load(source)

    def answer(problem: Problem) -> str:
        return SHAPES[crc32(problem.task_id.encode()) % len(SHAPES)](problem)

    executions = _execute(benchmark, answer)
    assert {key: found for key, found in executions.items() if found.status != "passed"} == {}


@pytest.mark.parametrize("source", BENCHMARKS, ids=lambda source: source.name)
@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ("I would rather not.", "the program defines no function"),
        ("```python\ndef something_else():\n    return 1\n```", "the program defines no function"),
        ("print('passed')\nexit(0)", ""),
    ],
)
def test_no_answer_without_the_function_passes(source: BenchmarkSource, answer: str, detail: str) -> None:
    """The prompt's own unfinished function is no answer, and the detail says what is missing."""
    benchmark = _load(source)
    few = Benchmark(name=benchmark.name, version="1", sha256="", problems=dict(list(benchmark.problems.items())[:40]))
    executions = _execute(few, lambda _: answer)
    assert {found.status for found in executions.values()} == {"error"}
    assert all(detail in found.detail for found in executions.values())


def _load(source: BenchmarkSource) -> Benchmark:
    return source.load(DATA if HAS_MBPP else None)
