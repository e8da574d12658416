"""The judge's end of a solver: call functions of the program in another process, and keep the verdict."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pytest_qeval.execution.carried import CodecError
from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import Reference
from pytest_qeval.execution.held import Held
from pytest_qeval.execution.in_place import update_in_place
from pytest_qeval.execution.remote import refer, resolver

LOST = "lost"
"""Status of a solver that is gone; the worker, its parent, knows how it ended."""

NOTHING = object()
"""Stands for a missing result: None is a result."""

# A reply repeats the token of its request, so that no reply can be written ahead of its request.
_TOKEN_BYTES = 8


class StoppedError(BaseException):
    """The verdict is final; not an `Exception`, so that a test cannot catch it and continue."""


class ProgramError(Exception):
    """Base of the exceptions that stand for what a program raised, together with the builtin class of that name."""

    verdict: tuple[str, str] = ("error", "")


class SolverProxy:
    """Call the functions of one program over a channel."""

    def __init__(self, channel: Channel) -> None:
        """Use `channel`."""
        self.channel = channel
        channel.refer, channel.resolve = refer, resolver(self)
        self.verdict: tuple[str, str] | None = None
        """Status and detail, set as soon as success is impossible; a test that swallows exceptions cannot undo it."""
        self.last_result: object = NOTHING

    def load(self, code: str, entry_point: str, *, timeout_s: float, memory_bytes: int) -> None:
        """Have the solver execute the program within its limits."""
        match self._request("load", code, entry_point, timeout_s, memory_bytes):
            case ("loaded",):
                return
            case ("syntax", str(detail)):
                raise self._stopped("syntax", detail)
            case ("raised", [str(), *_] as names, str(message)):
                raise self._stopped(*_verdict(names, message))
        raise self._stopped("tampered", "sent a reply that fits no request")

    def function(self, name: str) -> Callable[..., object]:
        """Return a function that calls the program's function of this name."""

        def candidate(*args: object, **kwargs: object) -> object:
            self.last_result = result = self._exchange(args, kwargs, "call", name)
            return result

        candidate.__name__ = candidate.__qualname__ = name
        candidate.hold = partial(self._hold, name)  # type: ignore[attr-defined]
        return candidate

    def _hold(self, name: str, /, *args: object) -> Held:
        """Call the program's function like `function` does, and leave a large result with the program.

        What the program does to the arguments stays with it, too.
        """
        reply = self._request("hold", name, args)
        match reply:
            case ("held", bytes(digest)):
                return Held(digest, lambda: self._exchange((), {}, "held"))
        value = self._result(reply, [])
        return Held(b"", lambda: value)

    def ask(self, reference: Reference, operation: str, /, *args: object, **kwargs: object) -> Any:
        """Return the result of an operation on an object of the program; see `objects.ask`."""
        return self._exchange(args, kwargs, "ask", Reference(number=reference.number), operation)

    def next_items(self, reference: Reference, count: int) -> Sequence[Callable[[object], object]]:
        """Return what gives each of the next items of an iterator, or raises, when it is given the item before."""
        match self._request("next", Reference(number=reference.number), count):
            case ("items", list(items), None | () | ("raised", [str(), *_], str()) as end) if items or end is not None:
                steps: list[Callable[[object], object]] = []
                for item in items:
                    match item:
                        case (bool(same), value):
                            steps.append(partial(_same_item if same else _new_item, value))
                        case _:
                            raise self._stopped("tampered", "sent a reply that fits no request")
                return steps if end is None else [*steps, partial(self._end_of_items, end)]
        raise self._stopped("tampered", "sent a reply that fits no request")

    def _end_of_items(self, end: tuple[Any, ...], _last: object) -> object:
        raise self._exception(*end[1:]) if end else StopIteration

    def refuse(self, what: str) -> BaseException:
        """End the test, since the program must not be asked what the test wants to know."""
        return self._stopped("unsupported", f"the test {what}, which only the program could do")

    def _exchange(self, args: tuple[object, ...], kwargs: dict[str, object], *request: object) -> object:
        """Have the program do something with arguments; return its result, or raise what it raised."""
        return self._result(self._request(*request, args, kwargs), [*args, *kwargs.values()])

    def _result(self, reply: tuple[Any, ...], passed: Sequence[object]) -> object:
        """Return the result that a reply says, or raise what it says was raised."""
        match reply:
            case ("returned", value, dict(changed)):
                self._update(passed, changed)
                return value
            case ("same", int(at), dict(changed)) if 0 <= at < len(passed):
                self._update(passed, changed)
                return passed[at]
            case ("raised", [str(), *_] as names, str(message), dict(changed)):
                self._update(passed, changed)
                raise self._exception(names, message)
            case ("unsupported", str(detail)):
                raise self._stopped("unsupported", detail)
        raise self._stopped("tampered", "sent a reply that fits no request")

    def _request(self, *values: object) -> tuple[Any, ...]:
        if self.verdict is not None:
            raise StoppedError
        try:
            if not self.channel.is_quiet():
                self.channel.receive()
                raise self._stopped("tampered", "sent a reply without a request")
            token = os.urandom(_TOKEN_BYTES)
            self._send(token, *values)
            echo, *reply = self.channel.receive()
        except CodecError as error:
            raise self._stopped("tampered", f"wrote to its judge's channel: {error}") from None
        except (EOFError, OSError):
            raise self._stopped(LOST, "") from None
        if echo != token:
            raise self._stopped("tampered", "replied before the request")
        return tuple(reply)

    def _send(self, *values: object) -> None:
        try:
            self.channel.send(*values)
        except CodecError as error:
            raise self._stopped("unsupported", f"the test passes {error}, which cannot be sent") from None

    def _update(self, passed: Sequence[object], changed: dict[Any, Any]) -> None:
        for index, value in changed.items():
            if type(index) is not int or not 0 <= index < len(passed):
                raise self._stopped("tampered", "changed an argument that does not exist")
            update_in_place(passed[index], value)

    def _exception(self, names: Sequence[str], message: str) -> BaseException:
        """Return an exception that the test can catch by the name of its builtin class."""
        base = _builtin_exception(names)
        if base is None:
            raise self._stopped(*_verdict(names, message))
        body = {
            "__init__": _ignore_arguments,  # UnicodeDecodeError and others need more than a message
            "__str__": lambda error: error.args[0],
            "verdict": _verdict(names, message),
        }
        error: BaseException = type(names[0], (ProgramError, base), body)(message)
        return error

    def _stopped(self, status: str, detail: str) -> StoppedError:
        """Set the verdict, unless there is one, and return the exception to raise."""
        if self.verdict is None:
            self.verdict = (status, detail)
        return StoppedError()


def _new_item(value: object, _last: object) -> object:
    return value


def _same_item(value: object, last: object) -> object:
    """Return the item before, which the program has changed."""
    update_in_place(last, value)
    return last


def _ignore_arguments(*args: object) -> None:
    """Replace the constructor of exception classes that need several arguments."""


def _builtin_exception(names: Sequence[str]) -> type[Exception] | None:
    """Return the nearest builtin exception class of a method resolution order; None for one that ends a program."""
    for name in names:
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            return kind if issubclass(kind, Exception) else None
    return None


def _verdict(names: Sequence[str], message: str) -> tuple[str, str]:
    text = f"{names[0]}: {message}" if message else str(names[0])
    if "SystemExit" in names:
        return ("error", f"{text} (exited before check returned)")
    if "PermissionError" in names:
        return ("error", f"{text} (the sandbox allows no processes, no network and no files outside of its folder)")
    return ("memory" if "MemoryError" in names else "error", text)
