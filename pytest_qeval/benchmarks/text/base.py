"""Benchmarks of code summarization: completions describe a function and are scored, not executed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.chat import CHAT_STYLES
from pytest_qeval.benchmarks.rows import sha256_of, to_jsonl
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.schema import SCORES, Problem, Program, Prompt, PromptStyle
from pytest_qeval.stats.bleu import chrf, smoothed_bleu

_GOAL = '\n""" The goal of this function is to:\n'
"""What follows the code in the completion style: the published form of bigcode-evaluation-harness."""
_QUOTES = ('"""', "'''")
_MESSAGE = (
    "Say in one sentence what this Python function does, worded like the first line of its docstring.\n\n"
    "```python\n{code}\n```"
)
_PREFILL = 'The first line of its docstring:\n\n"""'
"""Assistant prefill: without it, politeness or a repetition of the code comes before the sentence."""
_DIGITS = 12
"""Decimals of a score: texts without a common n-gram score 1e-78, which means 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBenchmark(Benchmark):
    """Problems whose prompt is a function without docstring, and whose solution describes it in a sentence."""

    sources: Mapping[str, str] = field(default_factory=dict)
    """Input of an encoder by task id, where the data have a form of their own for it."""

    def prompt(self, problem: Problem, style: PromptStyle = "completion") -> Prompt:
        """Return the function and the beginning of a docstring, a message, or for an encoder the bare function."""
        code = problem.prompt.rstrip()
        if style == "source":
            return Prompt(text=self.sources.get(problem.task_id, code))
        if style in CHAT_STYLES:
            return Prompt(text=_PREFILL, user=_MESSAGE.format(code=code))
        return Prompt(text=code + _GOAL)

    def stops_in(self, style: PromptStyle) -> tuple[str, ...]:
        """Return what ends a docstring; in chat style also what ends a paragraph, in source style nothing."""
        if style == "source":
            return ()
        return (*_QUOTES, "\n\n") if style in CHAT_STYLES else _QUOTES

    def program(
        self, problem: Problem, completion: str, style: PromptStyle = "completion", *, whole: bool = False
    ) -> Program:
        """Refuse, since a description is no program.

        Raises:
            TypeError: always; use `score`.
        """
        del completion, style, whole
        raise TypeError(f"completions of {problem.task_id} are descriptions, which cannot be executed")

    def broken(self, problem: Problem) -> Mapping[str, str]:
        """Return other texts than the reference; `spoof` repeats it."""
        reference = problem.canonical_solution
        return {"empty": "", "constant": "What no reference says.", "spoof": f"{reference} {reference}"}

    def is_empty(self, completion: str) -> bool:
        """Return whether a completion holds no description."""
        return not self.description(completion)

    def description(self, completion: str) -> str:
        """Return the first line that is not blank, before the end of the docstring, with single blanks."""
        for quotes in _QUOTES:
            completion = completion.partition(quotes)[0]
        lines = (" ".join(line.split()) for line in completion.splitlines())
        return next(filter(None, lines), "")

    def score(self, problem: Problem, completion: str) -> Mapping[str, float]:
        """Return smoothed BLEU-4 and chrF of the description against the reference, 0 to 1.

        Raises:
            MissingPackageError: without `sacrebleu`.
        """
        description, reference = self.description(completion), problem.canonical_solution
        scores = (smoothed_bleu(description, reference), chrf(description, reference))
        return {name: min(round(score, _DIGITS), 1.0) for name, score in zip(SCORES, scores, strict=True)}


def text_problem(*, benchmark: str, task_id: str, name: str, code: str, reference: str, cluster: str = "") -> Problem:
    """Return a problem of a function's code and its description; it has no test, since nothing is executed."""
    return Problem(
        benchmark=benchmark,
        task_id=task_id,
        prompt=code,
        entry_point=name,
        test="",
        canonical_solution=reference,
        cluster=cluster,
    )


def sha256_of_problems(problems: Iterable[Problem], sources: Mapping[str, str] | None = None) -> str:
    """Return the SHA-256 of prompts, references and an encoder's inputs, independent of how they were stored."""
    own = {task_id: [source] for task_id, source in (sources or {}).items()}
    rows = ([one.task_id, one.prompt, one.canonical_solution, *own.get(one.task_id, ())] for one in problems)
    return sha256_of(to_jsonl(rows))


def can_score() -> bool:
    """Return whether descriptions can be scored on this machine."""
    return find_spec("sacrebleu") is not None


def check_can_score(title: str) -> None:
    """Check that descriptions can be scored, before anything is generated.

    Raises:
        MissingPackageError: naming the extra.
    """
    if not can_score():
        raise MissingPackageError("sacrebleu", extra="summarization", purpose=f"scoring the completions of {title}")
