"""A benchmark: problems, their prompts, and the programs that completions become.

All benchmarks of code (HumanEval, MBPP, micro, a user's own JSONL) share this one class and differ only in their data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import ClassVar

from pytest_qeval.benchmarks.broken import broken_functions
from pytest_qeval.benchmarks.chat import CHAT_STOPS, CHAT_STYLES, FUNCTION_TASK, chat_prompt
from pytest_qeval.benchmarks.chat_marks import reply_of
from pytest_qeval.benchmarks.extraction import extract_code
from pytest_qeval.benchmarks.python_source import parse
from pytest_qeval.schema import Problem, Program, Prompt, PromptStyle

COMPLETION_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "\nassert", "\nimport", "\nfrom")
"""Stop strings of the completion style: what can only follow the end of a function body at column 0.

The first seven are common (bigcode-evaluation-harness, HumanEval). The last three end the tests and scripts that
instruction-tuned models append.
"""

_LINE_END = "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Problems in HumanEval's form: a prompt, code that follows it (a body or a whole program), a `check`."""

    unperturbed: ClassVar[str] = ""
    """Why the prompt cannot be perturbed, such as `it ends within an assertion`; empty where it can."""
    name: str
    version: str
    sha256: str
    """Of the uncompressed data file."""
    problems: Mapping[str, Problem]
    """By task id, in the file's order."""
    stops: tuple[str, ...] = COMPLETION_STOPS
    task: str = FUNCTION_TASK
    """Instruction for chat models; `{entry_point}` stands for the function's name."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Task ids of the data that are left out, each with the reason, which reports repeat."""
    max_new_tokens: int | None = None
    """The most that a completion needs, where that is far less than usual; None leaves it to the session's limit."""
    covers: tuple[str, ...] = ()
    """Benchmarks with the same problems, judged no more strictly; pooled, such a problem counts here only."""
    is_paced: bool = False
    """Whether a program's time limit follows from how long the reference takes on this machine."""
    infills: bool = field(init=False)
    """Whether completions stand in the middle of programs: then problems have a suffix, if not all of them."""

    def __post_init__(self) -> None:
        """Find out whether any problem has a suffix."""
        object.__setattr__(self, "infills", any(problem.suffix for problem in self.problems.values()))

    def prompt(self, problem: Problem, style: PromptStyle = "completion") -> Prompt:
        """Return the prompt; in the completion style the problem's own, unstripped: stripping can halve a score.

        In the style `chat-prefilled` the assistant prefill ends with the problem's prompt. A benchmark without
        a chat form returns a prompt without a message in every style, such as one that infills.
        """
        if self.infills:
            return Prompt(text=problem.prompt, suffix=problem.suffix)
        if style not in CHAT_STYLES:
            return Prompt(text=problem.prompt)
        return chat_prompt(problem, self.task, begun=problem.prompt if style == "chat-prefilled" else "")

    def shared_text(self, style: PromptStyle = "completion") -> str:
        """Return what the prompts of all problems begin with, or the messages where there are any.

        It is empty where a form is put around the prompts, or there is only one.
        """
        if self.infills or len(self.problems) == 1:
            return ""
        prompts = [self.prompt(problem, style) for problem in self.problems.values()]
        texts = [prompt.text if prompt.user is None else prompt.user for prompt in prompts]
        first, last = min(texts), max(texts)  # in alphabetical order, all others begin as these two do
        return first[: sum(1 for _ in takewhile(bool, map(eq, first, last)))]

    def stops_in(self, style: PromptStyle) -> tuple[str, ...]:
        """Return the strings before which a completion ends."""
        return CHAT_STOPS if style == "chat" and not self.infills else self.stops

    def program(
        self, problem: Problem, completion: str, style: PromptStyle = "completion", *, whole: bool = False
    ) -> Program:
        """Join prompt, completion or the code of a chat completion, and suffix; the trusted test stays separate.

        A completion that is a `whole` program does not follow the prompt. One that generation stopped before a line end
        gets it back where a suffix may follow.
        """
        is_chat = style == "chat" and not self.infills
        if is_chat:
            completion = extract_code(completion, prompt=problem.prompt, entry_point=problem.entry_point)
        elif self.infills and _LINE_END in self.stops and not (whole or completion.endswith(_LINE_END)):
            completion += _LINE_END
        return Program(
            prelude=problem.prompt,
            code=completion if whole and not is_chat else problem.source(completion),
            test=problem.test,
            entry_point=problem.entry_point,
            reference=problem.source(problem.canonical_solution) if self.is_paced else None,
            suffix=problem.suffix,
        )

    def broken(self, problem: Problem) -> Mapping[str, str]:
        """Return completions that must fail, by the self-test's recipes `empty`, `constant` and `spoof`."""
        return broken_functions(problem)

    def is_unfinished(self, completion: str) -> bool:
        """Return whether a completion ends within a thought and holds no reply, whatever the prompt was."""
        return reply_of(completion) is None

    def is_empty(self, completion: str) -> bool:
        """Return whether a completion holds no code: only blanks and comments; in the middle of code that may do."""
        if self.infills:
            return False
        try:
            return not parse(completion.strip()).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False  # broken code is code: it will be judged a syntax error


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSource:
    """A benchmark before it is read, as the registry holds it."""

    name: str
    summary: str
    """One line for `--qeval-list benchmarks`."""
    load: Callable[[Path | None], Benchmark]
    """Read it, searching the user's data directory first.

    Raises:
        DataError: when the data is missing, broken or not the expected one.
    """
    is_here: Callable[[Path | None], bool] = lambda _data: True
    """Return whether `load` needs no network: the data lie in the user's data directory or a package."""
