"""What all benchmarks of code share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.benchmarks.base import COMPLETION_STOPS, Benchmark
from pytest_qeval.benchmarks.chat import CHAT_STOPS
from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.schema import Problem

PROBLEM = Problem(
    benchmark="b",
    task_id="b/0",
    prompt="def f(n):\n    ```not a fence```\n ",
    entry_point="f",
    test="def check(candidate): pass",
    canonical_solution="    return n\n",
)
BENCHMARK = Benchmark(name="b", version="1", sha256="0" * 64, problems={"b/0": PROBLEM}, is_paced=True)


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("", True), ("  \n\n", True), ("# a comment\n    # another\n", True),
        ("    return 1\n", False), ("pass", False), ("x = (", False), ("\0", False), ("\\", False), ("'\\d'", False),
    ],
)  # fmt: skip
def test_a_completion_of_blanks_and_comments_is_empty(completion: str, *, expected: bool) -> None:
    """Broken code is code."""
    assert BENCHMARK.is_empty(completion) == expected


def test_the_completion_prompt_is_not_stripped() -> None:
    """Every character counts."""
    assert BENCHMARK.prompt(PROBLEM).text == PROBLEM.prompt
    assert BENCHMARK.stops_in("completion") == COMPLETION_STOPS


def test_the_chat_message_shows_the_prompt_in_a_fence_that_it_cannot_close() -> None:
    """The prefill opens the block of the completion."""
    prompt = BENCHMARK.prompt(PROBLEM, "chat")

    assert prompt.user is not None
    assert f"\n\n````python\n{PROBLEM.prompt}\n````" in prompt.user
    assert "`f`" in prompt.user
    assert prompt.text == "```python\n"
    assert BENCHMARK.stops_in("chat") == CHAT_STOPS


def test_a_prefilled_answer_begins_with_the_prompt() -> None:
    """Its completion is the rest of the function, as in the completion style."""
    prompt = BENCHMARK.prompt(PROBLEM, "chat-prefilled")
    body = "    return 0\n"

    assert prompt.user == BENCHMARK.prompt(PROBLEM, "chat").user
    assert prompt.text == f"```python\n{PROBLEM.prompt}"
    assert BENCHMARK.stops_in("chat-prefilled") == COMPLETION_STOPS
    assert BENCHMARK.program(PROBLEM, body, "chat-prefilled") == BENCHMARK.program(PROBLEM, body)


def test_prompts_share_how_all_of_them_begin() -> None:
    """Whatever of them a run takes; a message begins with the instruction, and a single prompt shares with nobody."""
    other = replace(PROBLEM, task_id="b/1", prompt="def factorial(n):\n", entry_point="factorial")
    both = replace(BENCHMARK, problems={"b/0": PROBLEM, "b/1": other})
    assert both.shared_text() == "def f"
    assert both.shared_text("chat") == "Complete the Python function `f"
    assert replace(both, task="Go on:").shared_text("chat-prefilled").startswith("Go on:\n\n```")
    assert BENCHMARK.shared_text() == ""
    infilled = replace(both, problems={"b/0": PROBLEM, "b/1": replace(other, suffix="\n")})
    assert infilled.shared_text() == ""


def test_a_paced_program_brings_its_reference() -> None:
    """The test and the prompt stay separate from the untrusted code."""
    program = BENCHMARK.program(PROBLEM, "    return 0\n")

    assert program.code == PROBLEM.prompt + "    return 0\n"
    assert program.reference == PROBLEM.prompt + PROBLEM.canonical_solution
    assert (program.prelude, program.test) == (PROBLEM.prompt, PROBLEM.test)


def test_the_packaged_problems_can_be_loaded() -> None:
    """They need neither network nor data directory."""
    assert MICRO.is_here(None)
    assert len(MICRO.load(None).problems) > 0
