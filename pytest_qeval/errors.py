"""The exception tree: everything that can go wrong and that a user can fix.

    QEvalError
    ├── UsageError              the command line or a file it names cannot be used
    │   ├── UnknownNameError    no such recipe, benchmark, engine …
    │   ├── RecipeError         a recipe that cannot be read or applied
    │   ├── GateError           a gate that cannot be read
    │   ├── ModelSourceError    no such model, or not one that can be loaded here
    │   ├── DataError           a benchmark or samples file that cannot be read
    │   └── MissingPackageError an extra that is not installed
    ├── InvalidProblemError     a perturbed problem whose own solution fails
    ├── MissingCompletionError  a problem that the samples file does not answer
    ├── SandboxError            programs cannot be executed safely on this machine
    └── EngineError             the engine died or cannot go on
        ├── NoRoomError         a workload that is longer than the model's context
        └── NoScoresError       a server that gives no log-probabilities of given tokens

Every message says what was found, what was expected and what to do. A `UsageError` ends the session with exit status 4
before any model is loaded; a bug keeps its traceback and is never one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class QEvalError(Exception):
    """Anything that went wrong and that the user can fix."""

    option: str | None = None
    """The option that is refused, such as `gate`, where the message does not name it."""


class UsageError(QEvalError):
    """The command line, an ini key or a file named there cannot be used."""


class UnknownNameError(UsageError):
    """A name that no registry knows; the message suggests the nearest ones."""


class RecipeError(UsageError):
    """A recipe that cannot be parsed or that does not fit the model."""


class GateError(UsageError):
    """A gate expression that cannot be parsed."""

    option = "gate"


class ModelSourceError(UsageError):
    """A model that does not exist, is no model, or does not fit in memory."""


class DataError(UsageError):
    """A benchmark or samples file that is missing, broken or not the expected one."""


class MissingPackageError(UsageError):
    """A package that an optional part needs; the message names the extra to install."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        """Name the missing `package`, the `extra` that brings it and what it is needed for."""
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'pytest-qeval[{extra}]'")


class InvalidProblemError(QEvalError):
    """A perturbed problem whose own solution does not pass, so that no completion can be judged by it."""


class MissingCompletionError(QEvalError):
    """A problem without a completion in the samples file, so that its outcome is not known."""


class SandboxError(QEvalError):
    """No sandbox of the wanted strength can be started, or a sandbox died twice on one program."""


class EngineError(QEvalError):
    """The engine cannot go on; finished completions are kept."""


class NoRoomError(EngineError):
    """A workload of the suite `efficiency` that does not fit in the model's context."""


class NoScoresError(EngineError):
    """A server that gives no log-probabilities of tokens that it is given, so that no divergence can be measured."""


@contextmanager
def about(option: str | None) -> Iterator[None]:
    """Note on an error which option is refused, for the user to be told where that is set."""
    try:
        yield
    except QEvalError as error:
        error.option = error.option or option
        raise


def counted(number: int, noun: str) -> str:
    """Write a number before a noun: `1 case`, `2 cases`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known name, as a sentence and a blank; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}? " if near else ""
