"""Benchmarks of code summarization: prompts, descriptions, scores."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.text import base as text
from pytest_qeval.benchmarks.text.base import TextBenchmark, check_can_score, sha256_of_problems, text_problem
from pytest_qeval.benchmarks.text.summarization import SUMMARIZATION
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.schema import SCORES, Problem, PromptStyle

CODE = "def add(a, b):\n    return a + b\n"
PROBLEM = text_problem(benchmark="b", task_id="b/0", name="add", code=CODE, reference="Return the sum of two numbers.")
BENCHMARK = TextBenchmark(name="b", version="1", sha256="0" * 64, problems={"b/0": PROBLEM})


def test_the_completion_prompt_is_the_published_one() -> None:
    """Code, then the beginning of a docstring about the goal; stops are the quotes."""
    assert BENCHMARK.prompt(PROBLEM).text == (
        'def add(a, b):\n    return a + b\n""" The goal of this function is to:\n'
    )
    assert BENCHMARK.stops_in("completion") == ('"""', "'''")


def test_in_a_chat_the_docstring_is_opened() -> None:
    """The message holds the code, and what follows the opening quotes is the sentence."""
    prompt = BENCHMARK.prompt(PROBLEM, "chat")

    assert prompt.user is not None
    assert f"```python\n{CODE}```" in prompt.user
    assert prompt.text.endswith('"""')
    assert '"""' in BENCHMARK.stops_in("chat")


def test_both_chat_styles_are_the_same() -> None:
    """The answer begins with a docstring already."""
    assert BENCHMARK.prompt(PROBLEM, "chat-prefilled") == BENCHMARK.prompt(PROBLEM, "chat")
    assert BENCHMARK.stops_in("chat-prefilled") == BENCHMARK.stops_in("chat")


def test_an_encoder_gets_the_function_and_nothing_else() -> None:
    """Or the form that its data have for it; there is nothing to stop at but the end."""
    own = TextBenchmark(name="b", version="1", sha256="0" * 64, problems={"b/0": PROBLEM}, sources={"b/0": "def add ("})

    assert BENCHMARK.prompt(PROBLEM, "source").text == CODE.rstrip()
    assert own.prompt(PROBLEM, "source").text == "def add ("
    assert BENCHMARK.stops_in("source") == ()


@pytest.mark.parametrize("style", get_args(PromptStyle))
def test_no_prompt_contains_the_reference(style: PromptStyle) -> None:
    benchmark = SUMMARIZATION.load(None)
    for problem in benchmark.problems.values():
        prompt = benchmark.prompt(problem, style)
        assert problem.canonical_solution.rstrip(".") not in f"{prompt.user}{prompt.text}"


@pytest.mark.parametrize(
    ("completion", "description"),
    [
        ("    Return the sum.\n    Of two.\n", "Return the sum."),
        ("\n\n  Return   the\tsum.", "Return the sum."),
        ('Return the sum.""" def g(): pass', "Return the sum."),
        ("Return the sum.'''\nmore", "Return the sum."),
        ('"""Return the sum.', ""),
        (" \n \n", ""),
        ("", ""),
    ],
)
def test_the_description_is_the_first_line(completion: str, description: str) -> None:
    """Before the quotes that end a docstring; what they open is something else."""
    assert BENCHMARK.description(completion) == description
    assert BENCHMARK.is_empty(completion) == (not description)


@given(st.text(max_size=80))
def test_every_completion_has_scores(completion: str) -> None:
    """Shares, so that they can be written, read and averaged: no number so small that a file could not hold it."""
    scores = BENCHMARK.score(PROBLEM, completion)

    assert tuple(scores) == SCORES
    assert all(score == 0 or 1e-12 <= score <= 1 for score in scores.values())


def test_a_reference_scores_one_and_silence_next_to_nothing() -> None:
    benchmark = SUMMARIZATION.load(None)
    assert isinstance(benchmark, TextBenchmark)
    for problem in benchmark.problems.values():
        perfect, silent = benchmark.score(problem, problem.canonical_solution), benchmark.score(problem, "")
        assert isinstance(benchmark, TextBenchmark)
        assert min(perfect.values()) == pytest.approx(1)
        assert max(silent.values()) < 0.01


def test_a_description_is_not_executed() -> None:
    with pytest.raises(TypeError, match="completions of b/0 are descriptions"):
        BENCHMARK.program(PROBLEM, "Return the sum.")


def test_missing_sacrebleu_is_reported_before_anything_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "find_spec", lambda _name: None)

    with pytest.raises(
        MissingPackageError, match=r"summarization needs .* pip install 'pytest-qeval\[summarization\]'"
    ):
        check_can_score("summarization")
    with pytest.raises(MissingPackageError):
        SUMMARIZATION.load(None)
    assert not SUMMARIZATION.is_here(None)


def test_a_checksum_covers_prompts_and_references() -> None:
    """It depends on nothing else of a row."""
    other = Problem(**{**{name: getattr(PROBLEM, name) for name in PROBLEM.__slots__}, "canonical_solution": "Add."})

    assert sha256_of_problems([PROBLEM]) == sha256_of_problems([PROBLEM])
    assert sha256_of_problems([PROBLEM]) != sha256_of_problems([other])
    assert sha256_of_problems([PROBLEM]) != sha256_of_problems([PROBLEM], {PROBLEM.task_id: "def add ( a , b ) :"})
