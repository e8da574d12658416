"""The untrusted side of one program: execute its code, then reply to the judge's requests.

The process is forked from the worker before the program arrives. It never holds the test, the nonce, or any descriptor
except its channel to the judge. The judge treats everything it sends as an untrusted reply.
"""

from __future__ import annotations

import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NoReturn

from pytest_qeval.execution.carried import CodecError
from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import MAX_BYTES, encode
from pytest_qeval.execution.held import digest_of
from pytest_qeval.execution.limits import lift_memory_limit, limit_program
from pytest_qeval.execution.objects import SOLUTION, ObjectTable, ask, look_ahead

_MUTABLE = (list, dict, set, bytearray, deque)


def serve(channel: Channel) -> NoReturn:
    """Reply to requests until the judge closes the channel."""
    namespace: dict[str, Any] = {}
    held: object = None
    objects = ObjectTable()
    channel.refer, channel.resolve = objects.refer, objects.find
    try:
        while True:
            token, kind, *request = channel.receive()
            match kind:
                case "load":
                    namespace, reply = _load(*request)
                case "hold":
                    held = None  # before another one may need the memory
                    held, reply = _hold(namespace, *request, objects=objects)
                case "held":
                    reply = _reply(partial(_give, held), request, objects)
                case "call":
                    reply = _reply(partial(_call, namespace), request, objects)
                case "ask":
                    reply = _reply(ask, request, objects)
                case _:
                    iterator, count = request
                    reply = _next(iterator, count, objects)
            channel.send(token, *reply)
    except EOFError:
        os._exit(0)


def _load(
    code: str, entry_point: str, timeout_s: float, memory_bytes: int
) -> tuple[dict[str, Any], tuple[object, ...]]:
    limit_program(timeout_s, memory_bytes)
    module = types.ModuleType(SOLUTION)
    sys.modules[SOLUTION] = module
    namespace = module.__dict__
    try:
        compiled = compile(code, "<solution>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes or lone surrogates
        return namespace, ("syntax", _describe_syntax(error))
    except (MemoryError, RecursionError) as error:
        return namespace, _raised(error)
    # Executing the program is what this process exists for.
    failure = _attempt(lambda: exec(compiled, namespace))  # noqa: S102
    if failure is not None:
        return namespace, failure
    if not callable(namespace.get(entry_point)):
        return namespace, ("raised", ["NameError"], f"the program defines no function {entry_point!r}")
    return namespace, ("loaded",)


def _call(namespace: Mapping[str, Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return namespace[name](*args, **kwargs)


def _hold(
    namespace: Mapping[str, Any], name: str, args: tuple[Any, ...], *, objects: ObjectTable
) -> tuple[object, tuple[object, ...]]:
    """Call a function; return its result, and the reply: the digest of a large result, else the result itself."""
    found: list[Any] = []

    def call() -> None:
        result = namespace[name](*args)
        found[:] = [result, digest_of(result)]

    failure = _attempt(call)
    if failure is not None:
        return None, (*failure, {})
    result, digest = found
    if digest:
        return result, ("held", digest)
    return None, _sendable(objects, ("returned", result, {}), large=result)


def _give(value: object, _args: tuple[()], _kwargs: dict[str, Any]) -> object:
    return value


def _reply(action: Callable[..., object], request: list[Any], objects: ObjectTable) -> tuple[object, ...]:
    """Run an action, and return the reply: its result, and which of the arguments it changed.

    A result that is an argument is named as such, so that it is the same object for the test. One that is too large to
    be copied is referred to.
    """
    passed = (*request[-2], *request[-1].values())
    before = tuple(objects.encoded(value) for value in passed)
    result: list[object] = []
    failure = _attempt(lambda: result.append(action(*request)))
    changed = {at: value for at, value in enumerate(passed) if objects.encoded(value) != before[at]}
    if failure is not None:
        return _sendable(objects, (*failure, changed))
    at = next((at for at, value in enumerate(passed) if value is result[0] and type(value) in _MUTABLE), None)
    if at is not None:
        return _sendable(objects, ("same", at, changed))
    return _sendable(objects, ("returned", result[0], changed), large=result[0])


def _sendable(objects: ObjectTable, reply: tuple[object, ...], large: object = None) -> tuple[object, ...]:
    """Return a reply that can be encoded: this one, or one that refers to the `large` result."""
    try:
        encode(reply, objects.refer)
    except CodecError as error:
        if large is None:
            return ("unsupported", f"the program returned {error}")
        return _sendable(objects, (reply[0], objects.refer(large), reply[-1]))
    except MemoryError as error:
        return (*_raised(error), {})
    return reply


def _next(iterator: Iterator[object], count: int, objects: ObjectTable) -> tuple[object, ...]:
    """Return the next items of an iterator; those that are too large together are referred to."""
    items, end = look_ahead(iterator, count, _raised)
    room, sent = MAX_BYTES // 2, []
    for same, item in items:
        encoded = objects.encoded(item)
        room -= MAX_BYTES if encoded is None else len(encoded)
        sent.append((same, item if room > 0 else objects.refer(item)))
    return ("items", sent, end)


def _attempt(action: Callable[[], object]) -> tuple[object, ...] | None:
    """Run untrusted code; return None, or the reply for what it raised."""
    try:
        action()
    except MemoryError as error:
        lift_memory_limit()
        return _raised(error)
    except BaseException as error:  # noqa: BLE001 - SystemExit as well: the judge decides what it means
        return _raised(error)
    return None


def _raised(error: BaseException) -> tuple[object, ...]:
    names = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, BaseException)]
    try:
        message = str.__str__(str(error))[:1000]
    except BaseException:  # noqa: BLE001 - the program's own __str__
        message = ""
    return ("raised", names, message)


def _describe_syntax(error: SyntaxError | ValueError) -> str:
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    return f"SyntaxError: {error}"
