"""HumanEval infilling: references pass, and what breaks a program fails, in all three editions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.infilling import MULTI_LINE, RANDOM_SPAN, SINGLE_LINE
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.golden.sampling import Sample
from tests.sandboxes import strongest_isolation

_DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "bench"

pytestmark = pytest.mark.skipif(
    not (_DATA / "HumanEval-SingleLineInfilling.jsonl.gz").is_file(),
    reason="HumanEval infilling is not part of this project: let QEVAL_TEST_DATA name a folder with bench/HumanEval-…",
)


@pytest.fixture(scope="module", params=[SINGLE_LINE, MULTI_LINE, RANDOM_SPAN], ids=lambda source: source.name)
def benchmark(request: pytest.FixtureRequest) -> Benchmark:
    """Return the three editions in turn."""
    source: BenchmarkSource = request.param
    return source.load(_DATA)


@pytest.fixture(scope="module")
def problems(benchmark: Benchmark, sample: Sample[str, Problem]) -> Mapping[str, Problem]:
    """Return the sample, thinned out again for the edition of thousands of problems."""
    chosen = sample(benchmark.problems)
    return chosen if len(benchmark.problems) == len(chosen) else dict(list(chosen.items())[:: 1 + len(chosen) // 60])


def _execute(
    benchmark: Benchmark, problems: Mapping[str, Problem], completion: Callable[[Problem], str]
) -> Mapping[str, Execution]:
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures = {
            task_id: pool.submit(benchmark.program(problem, completion(problem)))
            for task_id, problem in problems.items()
        }
        return {task_id: future.result() for task_id, future in futures.items()}


def test_all_problems_come_from_the_164_functions(benchmark: Benchmark) -> None:
    """As published, each in the cluster of its function."""
    sizes = {"infilling-single-line": 1033, "infilling-multi-line": 5815, "infilling-random-span": 164}

    assert len(benchmark.problems) == sizes[benchmark.name]
    assert {problem.cluster for problem in benchmark.problems.values()} == {f"HumanEval/{n}" for n in range(164)}


def test_no_reference_is_cut(benchmark: Benchmark) -> None:
    """By a stop string; that of a single line comes at its end."""
    for problem in benchmark.problems.values():
        text = problem.canonical_solution
        assert not any(stop in (text[:-1] if stop == "\n" else text) for stop in benchmark.stops)


def test_every_reference_passes(benchmark: Benchmark, problems: Mapping[str, Problem]) -> None:
    """A harness that fails a correct program measures itself."""
    executions = _execute(benchmark, problems, lambda problem: problem.canonical_solution)

    assert {task_id: found for task_id, found in executions.items() if found.status != "passed"} == {}


def test_no_unbalanced_bracket_passes(benchmark: Benchmark, problems: Mapping[str, Problem]) -> None:
    """What is filled in is a part of the program, and not left out of it."""
    executions = _execute(benchmark, problems, lambda problem: f"{problem.canonical_solution}\n)]}}\n")

    assert {found.status for found in executions.values()} == {"syntax"}
