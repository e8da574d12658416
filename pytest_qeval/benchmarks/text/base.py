"""Benchmarks that ask what a function does: answers are sentences, which are scored and not executed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.jsonl import sha256_of
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.schema import SCORES, Problem, Program, Prompt, PromptStyle
from pytest_qeval.stats.bleu import chrf, smoothed_bleu

__all__ = ["TextBenchmark", "can_score", "check_can_score", "sha256_of_problems", "text_problem"]

_GOAL = '\n""" The goal of this function is to:\n'
"""What follows the code in the completion style: the published form of bigcode-evaluation-harness."""
_QUOTES = ('"""', "'''")
_MESSAGE = (
    "Say in one sentence what this Python function does, worded like the first line of its docstring.\n\n"
    "```python\n{code}\n```"
)
_ANSWER = 'The first line of its docstring:\n\n"""'
"""Put into the assistant's mouth, so that neither politeness nor a repetition of the code comes before the sentence."""
_DIGITS = 12
"""Decimals of a score: what is shared by nothing scores 1e-78, which means 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBenchmark(Benchmark):
    """Problems whose prompt is a function without docstring, and whose solution is a sentence about it."""

    sources: Mapping[str, str] = field(default_factory=dict)
    """What an encoder reads instead of a problem's prompt, by task id, where data have a form of their own for it."""

    def prompt(self, problem: Problem, style: PromptStyle = "completion") -> Prompt:
        """Ask for the goal of the function; an encoder gets the bare function."""
        code = problem.prompt.rstrip()
        if style == "source":
            return Prompt(text=self.sources.get(problem.task_id, code))
        if style == "chat":
            return Prompt(text=_ANSWER, user=_MESSAGE.format(code=code))
        return Prompt(text=code + _GOAL)

    def stops_in(self, style: PromptStyle) -> tuple[str, ...]:
        """Return what ends a docstring; in a chat also what ends its first paragraph, and nothing after an encoder."""
        if style == "source":
            return ()
        return (*_QUOTES, "\n\n") if style == "chat" else _QUOTES

    def program(self, problem: Problem, completion: str, style: PromptStyle = "completion") -> Program:
        """Refuse: a sentence is no program.

        Raises:
            TypeError: always; such answers are for `score`.
        """
        del completion, style
        raise TypeError(f"{problem.task_id} is answered by a sentence, which cannot be executed")

    def is_empty(self, completion: str) -> bool:
        """Return whether a completion says nothing."""
        return not self.answer(completion)

    def answer(self, completion: str) -> str:
        """Return the first line that is not blank, before whatever ends a docstring; blanks are made single ones."""
        for quotes in _QUOTES:
            completion = completion.partition(quotes)[0]
        lines = (" ".join(line.split()) for line in completion.splitlines())
        return next(filter(None, lines), "")

    def score(self, problem: Problem, completion: str) -> Mapping[str, float]:
        """Return smoothed BLEU-4 and chrF of the answer against the reference, 0 to 1.

        Raises:
            MissingPackageError: without `sacrebleu`.
        """
        answer, reference = self.answer(completion), problem.canonical_solution
        scores = (smoothed_bleu(answer, reference), chrf(answer, reference))
        return {name: min(round(score, _DIGITS), 1.0) for name, score in zip(SCORES, scores, strict=True)}


def text_problem(*, benchmark: str, task_id: str, name: str, code: str, reference: str) -> Problem:
    """Make a problem of a function's code and the sentence about it; there is no test, since nothing is executed."""
    return Problem(
        benchmark=benchmark,
        task_id=task_id,
        prompt=code,
        entry_point=name,
        test="",
        canonical_solution=reference,
    )


def sha256_of_problems(problems: Iterable[Problem], sources: Mapping[str, str] | None = None) -> str:
    """Return the SHA-256 of what is asked and what is expected, wherever and in whatever form it was stored.

    Args:
        problems: In their order.
        sources: What an encoder is asked instead; see `TextBenchmark`.
    """
    asked = sources or {}
    rows = (
        [one.task_id, one.prompt, one.canonical_solution, *([asked[one.task_id]] if one.task_id in asked else [])]
        for one in problems
    )
    return sha256_of("".join(json.dumps(row) + "\n" for row in rows).encode())


def can_score() -> bool:
    """Return whether sentences can be scored on this machine."""
    return find_spec("sacrebleu") is not None


def check_can_score(title: str) -> None:
    """Make sure of it before anything is asked.

    Raises:
        MissingPackageError: naming the extra.
    """
    if not can_score():
        raise MissingPackageError("sacrebleu", extra="summarization", purpose=f"scoring the answers to {title}")
