"""What the self-test answers, and how it judges what came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.humaneval import HUMANEVAL
from pytest_qeval.benchmarks.mbpp import MBPP
from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.benchmarks.selftest import BENCHMARKS, NAME, RECIPES, TRICKS, completion_of, fault_of, is_expected
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
SETTINGS = RunSettings(model=ModelSettings(name=NAME), candidates=tuple(RECIPES), baseline=None, selftest=True)


def record(recipe: str, status: ExecutionStatus, detail: str = "") -> Record:
    execution = Execution(status=status, duration_s=0.1, detail=detail)
    completion = Completion(text="pass", n_tokens=None, finish_reason="replay")
    sample = Sample(completion=completion, program_sha256="0" * 64, execution=execution)
    return Record(recipe=recipe, case=Case(benchmark="humaneval", task_id="HumanEval/3"), samples=(sample,))


def function_of(recipe: str, problem: Problem) -> Callable[..., object]:
    """Execute an answer as the solver would; only those that do no harm here."""
    space: dict[str, Any] = {}
    exec(compile(problem.prompt + completion_of(recipe, problem), "<answer>", "exec"), space)  # noqa: S102 - ours
    function: Callable[..., object] = space[problem.entry_point]
    return function


@SOURCES
def test_a_reference_is_the_benchmark_s_own(source: BenchmarkSource) -> None:
    """Not one character is added."""
    problems = source.load(None).problems.values()
    assert all(completion_of("reference", problem) == problem.canonical_solution for problem in problems)


@SOURCES
@pytest.mark.parametrize("recipe", BROKEN)
def test_every_broken_answer_is_a_program(source: BenchmarkSource, recipe: str) -> None:
    """A body that fails for its syntax would show nothing."""
    benchmark: Benchmark = source.load(None)
    for problem in benchmark.problems.values():
        compile(benchmark.program(problem, completion_of(recipe, problem)).code, problem.task_id, "exec")


@SOURCES
def test_broken_answers_override_the_function(source: BenchmarkSource) -> None:
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
    bodies = {completion_of("spoof", problem) for problem in MICRO.load(None).problems.values()}
    assert {name for name, body in TRICKS.items() if any(body in text for text in bodies)} == set(TRICKS)
    assert all(sum(body in text for body in TRICKS.values()) == 1 for text in bodies)


def test_the_yes_man_claims_to_be_everything() -> None:
    """Wherever it is compared by its own word."""
    problem = next(found for found in map(numbered, range(99)) if TRICKS["yes"] in completion_of("spoof", found))
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
    assert fault_of(FAULTS[sentence]) == sentence
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


def test_what_is_at_hand_needs_no_network(tmp_path: Any) -> None:
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
    """The reference scores 1 by every measure; saying nothing, something else or all of it twice does not."""
    benchmark = SUMMARIZATION.load(None)
    assert isinstance(benchmark, TextBenchmark)
    for problem in benchmark.problems.values():
        scores = benchmark.score(problem, completion_of(recipe, problem))
        found = replace(record(recipe, "scored"), measurements=scores)
        assert fault_of(found) == ""
        assert is_expected(replace(found, measurements={"bleu": 1.0, "chrf": 0.9})) == (recipe != "reference")


def test_a_wrong_score_is_shown() -> None:
    found = replace(record("reference", "scored"), measurements={"bleu": 0.5, "chrf": 1.0})

    assert fault_of(found) == "the answer of reference to HumanEval/3 scored bleu 0.500, chrf 1.000"
