"""What both directions of CRUXEval share: a prompt that ends within an assertion, and the completion that ends it."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.chat import CHAT_STYLES, chat_prompt
from pytest_qeval.benchmarks.chat_marks import reply_of
from pytest_qeval.benchmarks.cruxeval import check as crux_check
from pytest_qeval.benchmarks.python_source import parse
from pytest_qeval.schema import Problem, Program, Prompt, PromptStyle

ENTRY_POINT = "answer"
"""Function of a program that returns what the completion says."""
STOPS = ("\n",)
"""The end of the assertion."""

MAX_NEW_TOKENS = 160
"""No reference has more than 128 characters. Models that get into a loop write literals without an end."""

_TEST = """\
SOURCE = {source!r}


def check(candidate):
    space = {{"__name__": "crux_check"}}
    exec(compile(SOURCE, "<check>", "exec"), space)
    found = space[{name!r}](candidate, {arguments})
    if found:
        raise AssertionError(found)
"""
_REFUSAL = """\
def check(candidate):
    raise AssertionError({flaw!r})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionBenchmark(Benchmark):
    """Problems whose prompt is a program and the beginning of an assertion about it, on the last line."""

    unperturbed: ClassVar[str] = "it ends within an assertion"
    examples: ClassVar[str]
    """Solved problems, which stand before the prompt in the completion style."""
    stops: tuple[str, ...] = STOPS
    max_new_tokens: int | None = MAX_NEW_TOKENS

    def prompt(self, problem: Problem, style: PromptStyle = "completion") -> Prompt:
        """Return the examples and the problem, or a message with the problem and a prefill that begins the assertion.

        Both chat styles have the same prompt.
        """
        if style in CHAT_STYLES:
            return chat_prompt(problem, self.task, begun=_assertion(problem))
        return Prompt(text=self.examples + problem.prompt)

    def stops_in(self, style: PromptStyle) -> tuple[str, ...]:
        """Return the end of a line in every style."""
        del style
        return self.stops

    def program(
        self, problem: Problem, completion: str, style: PromptStyle = "completion", *, whole: bool = False
    ) -> Program:
        """Return a program whose function returns what the completion says.

        Only the completion's first line counts, and in a reply or a `whole` program the line that repeats the
        assertion. The test refuses a completion that does not end the assertion in the form that this benchmark takes.
        """
        if style in CHAT_STYLES:
            completion = reply_of(completion) or ""
        if style in CHAT_STYLES or whole:
            completion = completion.rpartition(_assertion(problem))[2]
        text = completion.partition("\n")[0]
        prelude = self.prelude(problem)
        flaw = self.find_flaw(text)
        return Program(
            prelude=prelude,
            code=prelude + text,
            test=_REFUSAL.format(flaw=flaw) if flaw else problem.test,
            entry_point=problem.entry_point,
        )

    @abstractmethod
    def prelude(self, problem: Problem) -> str:
        """Return a module up to where the completion goes on, in the function `ENTRY_POINT`."""

    @abstractmethod
    def find_flaw(self, text: str) -> str:
        """Return why a completion does not count, whatever its value; empty where it does."""


def _assertion(problem: Problem) -> str:
    """Return the beginning of the assertion."""
    return problem.prompt.rpartition("\n")[2]


def code_of(problem: Problem) -> str:
    """Return the program that the assertion is about."""
    return problem.prompt.rpartition("\n")[0]


def compared_value(begun: str, text: str) -> ast.expr | None:
    """Return the right side of the assertion that begins with `begun`, `assert 0 ==` or more, and ends with a text.

    None where the two are no Python, or more than one assertion of one equality, such as `assert 0 == 1 or True`.
    """
    try:
        statements = parse(begun + text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    match statements:
        case [ast.Assert(test=ast.Compare(ops=[ast.Eq()], comparators=[value]), msg=None)]:
            return value
    return None


def make_test(function: Callable[..., str], **arguments: object) -> str:
    """Return the source of a test that runs a function of `check` with these arguments."""
    named = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return _TEST.format(source=_check_source(), name=function.__name__, arguments=named)


@cache
def _check_source() -> str:
    return Path(crux_check.__file__).read_text(encoding="utf-8")
