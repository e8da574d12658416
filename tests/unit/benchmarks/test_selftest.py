"""Completions of the self-test, and the judgement of their outcomes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.broken import TRICKS
from pytest_qeval.benchmarks.humaneval import HUMANEVAL
from pytest_qeval.benchmarks.mbpp import MBPP
from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.benchmarks.selftest import (
    BENCHMARKS,
    NAME,
    RECIPES,
    describe_fault,
    is_expected,
    make_completion,
)
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.benchmarks.text.summarization import SUMMARIZATION
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.hooks.items import end_test
from pytest_qeval.schema import Case, Completion, Execution, ExecutionStatus, Problem, Record, Sample
from pytest_qeval.settings import ModelSettings

BROKEN = tuple(recipe for recipe in RECIPES if recipe != "reference")
SOURCES = pytest.mark.parametrize("source", [MICRO, HUMANEVAL], ids=lambda source: source.name)
SCRIPT = Problem(
    benchmark="mbpp",
    task_id="MBPP/2",
    prompt='"""\nWrite a function that adds.\nassert add(1, 2) == 3\n"""\n',
    entry_point="add",
    test="def check(candidate): assert candidate(1, 2) == 3",
    canonical_solution="def add(a, b):\n    return a + b",
)
SCRIPTS = Benchmark(name="mbpp", version="1", sha256="0" * 64, problems={"MBPP/2": SCRIPT})
SETTINGS = RunSettings(model=ModelSettings(name=NAME), candidates=tuple(RECIPES), baseline=None, selftest=True)


def record(recipe: str, status: ExecutionStatus, detail: str = "") -> Record:
    execution = Execution(status=status, duration_s=0.1, detail=detail)
    completion = Completion(text="pass", n_tokens=None, finish_reason="replay")
    sample = Sample(completion=completion, program_sha256="0" * 64, execution=execution)
    return Record(recipe=recipe, case=Case(benchmark="humaneval", task_id="HumanEval/3"), samples=(sample,))


def function_of(recipe: str, problem: Problem) -> Callable[..., object]:
    """Execute a harmless completion as the solver would."""
    space: dict[str, Any] = {}
    code = problem.prompt + make_completion(recipe, problem, SCRIPTS)
    exec(compile(code, "<completion>", "exec"), space)  # noqa: S102 - ours
    function: Callable[..., object] = space[problem.entry_point]
    return function


@SOURCES
def test_a_reference_is_the_benchmark_s_own(source: BenchmarkSource) -> None:
    """Not one character is added."""
    benchmark: Benchmark = source.load(None)
    for problem in benchmark.problems.values():
        assert make_completion("reference", problem, benchmark) == problem.canonical_solution


@pytest.mark.parametrize("source", [MICRO, SUMMARIZATION], ids=lambda source: source.name)
def test_every_broken_recipe_has_a_completion(source: BenchmarkSource) -> None:
    """Whatever the form of a benchmark."""
    benchmark: Benchmark = source.load(None)
    assert all(set(benchmark.broken(problem)) == set(BROKEN) for problem in benchmark.problems.values())


@SOURCES
@pytest.mark.parametrize("recipe", BROKEN)
def test_every_broken_completion_is_a_program(source: BenchmarkSource, recipe: str) -> None:
    """A body with a syntax error would prove nothing."""
    benchmark: Benchmark = source.load(None)
    for problem in benchmark.problems.values():
        compile(benchmark.program(problem, make_completion(recipe, problem, benchmark)).code, problem.task_id, "exec")


@SOURCES
def test_broken_completions_override_the_function(source: BenchmarkSource) -> None:
    """Whatever it is called with, and whatever stands in front of it."""
    for problem in source.load(None).problems.values():
        assert function_of("empty", problem)(1, 2, 3, more=4) is None
        assert function_of("constant", problem)() == function_of("constant", problem)(1, more=4)


def test_a_script_is_overridden_too() -> None:
    """In MBPP's form, whose references need not end with a line break."""
    assert function_of("reference", SCRIPT)(1, 2) == 3
    assert function_of("empty", SCRIPT)(1, 2) is None
    assert function_of("constant", SCRIPT)(1, 2) != 3


def test_every_trick_is_tried() -> None:
    """On any benchmark of some size, and each alone."""
    benchmark: Benchmark = MICRO.load(None)
    bodies = {make_completion("spoof", problem, benchmark) for problem in benchmark.problems.values()}
    assert {name for name, body in TRICKS.items() if any(body in text for text in bodies)} == set(TRICKS)
    assert all(sum(body in text for body in TRICKS.values()) == 1 for text in bodies)


def test_the_value_of_yes_equals_everything() -> None:
    """By its own comparison methods."""
    scripts = map(numbered, range(99))
    problem = next(found for found in scripts if TRICKS["yes"] in make_completion("spoof", found, SCRIPTS))
    value: Any = function_of("spoof", problem)(1, 2)
    assert all((value == 3, value == "x", value < 0, value > 0, 7 in value))


def numbered(number: int) -> Problem:
    return replace(SCRIPT, task_id=f"MBPP/{number}")


@pytest.mark.parametrize("recipe", RECIPES)
def test_references_pass_and_nothing_else(recipe: str) -> None:
    """The one rule of the self-test."""
    assert is_expected(record(recipe, "passed")) == (recipe == "reference")
    assert is_expected(record(recipe, "tampered")) == (recipe != "reference")


FAULTS: Mapping[str, Record] = {
    "the reference solution of HumanEval/3 does not pass: failed: assert 1 == 2": record(
        "reference", "failed", "assert 1 == 2"
    ),
    "an empty body of HumanEval/3 passed": record("empty", "passed"),
    "a constant body of HumanEval/3 passed": record("constant", "passed"),
    "a spoofing body of HumanEval/3 passed": record("spoof", "passed"),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_wrong_outcome_fails_its_test_and_is_named(sentence: str) -> None:
    """Neither a benchmark with a wrong reference nor a harness that is fooled goes unnoticed."""
    assert describe_fault(FAULTS[sentence]) == sentence
    with pytest.raises(pytest.fail.Exception) as failure:
        end_test(FAULTS[sentence], SETTINGS, {})
    assert str(failure.value) == sentence


@pytest.mark.parametrize("recipe", BROKEN)
def test_an_expected_failure_is_a_pass(recipe: str) -> None:
    """No test of a self-test ends as an observation."""
    with contextlib.suppress(pytest.fail.Exception):
        end_test(record(recipe, "error"), SETTINGS, {})
        return
    pytest.fail(f"{recipe} did not pass")


def test_data_on_this_machine_needs_no_network(tmp_path: Any) -> None:
    """MBPP's data are here when the folder that the user names has them."""
    assert {MICRO.name, HUMANEVAL.name, MBPP.name} < set(BENCHMARKS)
    assert MICRO.is_here(None)
    assert HUMANEVAL.is_here(None)
    assert not MBPP.is_here(None)
    assert not MBPP.is_here(tmp_path)
    (tmp_path / "mbpp.jsonl").touch()
    assert MBPP.is_here(tmp_path)


@pytest.mark.parametrize("recipe", RECIPES)
def test_texts_test_the_scores(recipe: str) -> None:
    """The reference scores 1 by every measure; an empty, another or a repeated text does not."""
    benchmark = SUMMARIZATION.load(None)
    assert isinstance(benchmark, TextBenchmark)
    for problem in benchmark.problems.values():
        scores = benchmark.score(problem, make_completion(recipe, problem, benchmark))
        found = replace(record(recipe, "scored"), measurements=scores)
        assert describe_fault(found) == ""
        assert is_expected(replace(found, measurements={"bleu": 1.0, "chrf": 0.9})) == (recipe != "reference")


def test_a_wrong_score_is_shown() -> None:
    found = replace(record("reference", "scored"), measurements={"bleu": 0.5, "chrf": 1.0})

    assert describe_fault(found) == "the completion of HumanEval/3 by reference scored bleu 0.500, chrf 1.000"
