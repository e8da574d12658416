"""What a benchmark is: problems, how they are asked, and how a completion becomes a program.

All benchmarks that ask for code (HumanEval, MBPP, micro, a user's own JSONL) share this one class and differ only in
their data.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_qeval.benchmarks.chat import CHAT_STOPS, FUNCTION_TASK, chat_prompt
from pytest_qeval.benchmarks.extraction import follow_up
from pytest_qeval.schema import Problem, Program, Prompt, PromptStyle

__all__ = ["COMPLETION_STOPS", "Benchmark", "BenchmarkSource"]

COMPLETION_STOPS = (
    "\nclass",
    "\ndef",
    "\n#",
    "\n@",
    "\nprint",
    "\nif",
    "\n```",
    "\nassert",
    "\nimport",
    "\nfrom",
)
"""What can only follow the end of a function body at column 0: the completion style's stop strings.

The first seven are the usual ones of the field (bigcode-evaluation-harness, HumanEval); the last three end the
tests and scripts that instruction-tuned models like to append.
"""

_NO_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Problems in HumanEval's form: a prompt, code that follows it (a body or a whole program), a `check`."""

    name: str
    version: str
    sha256: str
    """Of the uncompressed data file."""
    problems: Mapping[str, Problem]
    """By task id, in the file's order."""
    stops: tuple[str, ...] = COMPLETION_STOPS
    task: str = FUNCTION_TASK
    """What a chat model is told to do; `{entry_point}` stands for the function's name."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Task ids of the data that are not asked, each with the reason; scores say so."""
    is_paced: bool = False
    """Whether the time that a program has follows from how long the reference takes on this machine."""

    def prompt(self, problem: Problem, style: PromptStyle = "completion") -> Prompt:
        """Return what the model gets; in the completion style the exact prompt: stripping it can halve a score.

        A benchmark that knows no chat gives a prompt without a message in both styles.
        """
        return chat_prompt(problem, self.task) if style == "chat" else Prompt(text=problem.prompt)

    def stops_in(self, style: PromptStyle) -> tuple[str, ...]:
        """Return the strings before which a completion ends."""
        return CHAT_STOPS if style == "chat" else self.stops

    def program(self, problem: Problem, completion: str, style: PromptStyle = "completion") -> Program:
        """Join prompt and completion, or the code of a chat answer; the test stays apart from what is not trusted."""
        if style == "chat":
            completion = follow_up(completion, prompt=problem.prompt, entry_point=problem.entry_point)
        return Program(
            prelude=problem.prompt,
            code=problem.prompt + completion,
            test=problem.test,
            entry_point=problem.entry_point,
            reference=problem.prompt + problem.canonical_solution if self.is_paced else None,
        )

    def is_empty(self, completion: str) -> bool:
        """Return whether a completion holds no code at all: blanks and comments only."""
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(completion.strip()).readline))
        except (tokenize.TokenError, SyntaxError):
            return False  # broken code is code: it will be judged a syntax error
        return all(token.type in _NO_CODE for token in tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSource:
    """A benchmark before it is read: what the registry holds."""

    name: str
    summary: str
    """One line for `--qeval-list benchmarks`."""
    load: Callable[[Path | None], Benchmark]
    """Read it, looking into the user's data directory first.

    Raises:
        DataError: when the data is missing, broken or not the expected one.
    """
    is_here: Callable[[Path | None], bool] = lambda _data: True
    """Whether the data lie on this machine, the user's data directory included: then `load` needs no network."""
