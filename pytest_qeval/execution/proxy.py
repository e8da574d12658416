"""The judge's view of a solver: functions that run in another process, and the verdicts that only it can give."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Sequence
from typing import Any

from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import CodecError, UnsupportedValueError

__all__ = ["LOST", "NOTHING", "ProgramError", "SolverProxy", "StoppedError", "update_in_place"]

LOST = "lost"
"""The judge's word for a solver that is gone: the worker, its parent, knows how it ended."""

NOTHING = object()
"""No answer yet: None would be an answer."""

# An answer repeats what its question began with, so that none can be written ahead of its question.
_TOKEN_BYTES = 8


class StoppedError(BaseException):
    """The verdict is certain. No `except Exception` of a test may go on after it."""


class ProgramError(Exception):
    """Base of the exceptions that stand for what a program raised, beside the builtin class of that name."""

    verdict: tuple[str, str] = ("error", "")


class SolverProxy:
    """Calls the functions of one program over a channel."""

    def __init__(self, channel: Channel) -> None:
        """Speak over `channel`."""
        self.channel = channel
        self.verdict: tuple[str, str] | None = None
        """Set by whatever makes success impossible; a test that swallows exceptions cannot undo it."""
        self.last_answer: object = NOTHING
        self.timeout_s = 0.0
        """How long the program may take, where that is known when it is loaded."""

    def load(self, code: str, entry_point: str) -> None:
        """Let the solver execute the program."""
        match self._ask("load", code, entry_point, self.timeout_s):
            case ("loaded",):
                return
            case ("syntax", str(detail)):
                raise self._stopped("syntax", detail)
            case ("raised", [str(), *_] as names, str(message)):
                raise self._stopped(*_verdict(names, message))
            case _:
                raise self._stopped("tampered", "sent an answer that no request asked for")

    def function(self, name: str) -> Callable[..., object]:
        """Return a function that calls the program's function of this name."""

        def candidate(*args: object, **kwargs: object) -> object:
            return self._call(name, args, kwargs)

        candidate.__name__ = candidate.__qualname__ = name
        return candidate

    def _call(self, name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        passed = [*args, *kwargs.values()]
        match self._ask("call", name, args, kwargs):
            case ("returned", value, dict(changed)):
                self._update(passed, changed)
                self.last_answer = value
                return value
            case ("raised", [str(), *_] as names, str(message), dict(changed)):
                self._update(passed, changed)
                raise self._exception(names, message)
            case ("unsupported", str(detail)):
                raise self._stopped("failed", detail)
        raise self._stopped("tampered", "sent an answer that no request asked for")

    def _ask(self, *request: object) -> tuple[Any, ...]:
        if self.verdict is not None:
            raise StoppedError
        try:
            if not self.channel.is_quiet():
                self.channel.receive()
                raise self._stopped("tampered", "spoke to its judge without being asked")
            token = os.urandom(_TOKEN_BYTES)
            self.channel.send(token, *request)
            echo, *reply = self.channel.receive()
        except UnsupportedValueError as error:
            raise TypeError(f"the test passes {error}, which cannot be sent to the program") from None
        except CodecError as error:
            raise self._stopped("tampered", f"wrote to its judge's channel: {error}") from None
        except (EOFError, OSError):
            raise self._stopped(LOST, "") from None
        if echo != token:
            raise self._stopped("tampered", "answered before it was asked")
        return tuple(reply)

    def _update(self, passed: Sequence[object], changed: dict[Any, Any]) -> None:
        for index, value in changed.items():
            if type(index) is not int or not 0 <= index < len(passed):
                raise self._stopped("tampered", "changed an argument that does not exist")
            update_in_place(passed[index], value)

    def _exception(self, names: Sequence[str], message: str) -> BaseException:
        """Return an exception that the test can expect by the name of its builtin class."""
        base = _builtin_exception(names)
        if base is None:
            raise self._stopped(*_verdict(names, message))
        body = {
            "__init__": _ignore_arguments,  # UnicodeDecodeError and others want more than a message
            "__str__": lambda error: error.args[0],
            "verdict": _verdict(names, message),
        }
        error: BaseException = type(names[0], (ProgramError, base), body)(message)
        return error

    def _stopped(self, status: str, detail: str) -> StoppedError:
        """Fix the verdict and give what is to be raised."""
        if self.verdict is None:
            self.verdict = (status, detail)
        return StoppedError()


def update_in_place(old: object, new: object) -> None:
    """Make the mutable `old` equal to `new`, keeping the identity of whatever inside has kept its type and place."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        kept = [_merged(was, now) for was, now in zip(old, new, strict=False)]
        if isinstance(old, list):
            old[:] = [*kept, *new[len(kept) :]]
    elif isinstance(old, dict) and isinstance(new, dict):
        merged = {key: _merged(old[key], now) if key in old else now for key, now in new.items()}
        old.clear()
        old.update(merged)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new


def _merged(old: object, new: object) -> object:
    if type(old) is type(new) and isinstance(old, (list, tuple, dict, set, bytearray)):
        update_in_place(old, new)
        return new if isinstance(old, tuple) else old
    return new


def _ignore_arguments(*args: object) -> None:
    """Accept whatever an exception class's own constructor would refuse."""


def _builtin_exception(names: Sequence[str]) -> type[Exception] | None:
    """Return the nearest builtin exception class of a method resolution order; None for those that end a program."""
    for name in names:
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            return kind if issubclass(kind, Exception) else None
    return None


def _verdict(names: Sequence[str], message: str) -> tuple[str, str]:
    text = f"{names[0]}: {message}" if message else str(names[0])
    if "SystemExit" in names:
        return ("error", f"{text} (exited before check returned)")
    return ("memory" if "MemoryError" in names else "error", text)
