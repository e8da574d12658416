"""The untrusted side of one program: execute its code, then reply to the judge's calls with plain values.

The process is forked from the worker before the program arrives. It never holds the test, the nonce, or any descriptor
except its channel to the judge. The judge treats everything it sends as an untrusted reply.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import CodecError, UnsupportedValueError, encode
from pytest_qeval.execution.limits import lift_memory_limit, limit_cpu_time

_MODULE_NAME = "solution"  # the module that the program's code runs as: dataclasses and pickle find its classes there


def serve(channel: Channel) -> NoReturn:
    """Reply to requests until the judge closes the channel."""
    namespace: dict[str, Any] = {}
    try:
        while True:
            token, kind, *arguments = channel.receive()
            if kind == "load":
                namespace, reply = _load(*arguments)
            else:
                reply = _call(namespace, *arguments)
            channel.send(token, *reply)
    except EOFError:
        os._exit(0)


def _load(code: str, entry_point: str, timeout_s: float) -> tuple[dict[str, Any], tuple[object, ...]]:
    limit_cpu_time(timeout_s)
    module = types.ModuleType(_MODULE_NAME)
    sys.modules[_MODULE_NAME] = module
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


def _call(namespace: dict[str, Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[object, ...]:
    before = [_encoded(value) for value in (*args, *kwargs.values())]
    result: list[object] = []
    failure = _attempt(lambda: result.append(namespace[name](*args, **kwargs)))
    after = enumerate((*args, *kwargs.values()))
    changed = {index: value for index, value in after if _encoded(value) != before[index]}
    reply = ("returned", result[0], changed) if failure is None else (*failure, changed)
    try:
        encode(reply)
    except UnsupportedValueError as error:
        return ("unsupported", f"returned {error}, which cannot be compared with the expected value")
    except CodecError as error:
        return ("unsupported", f"returned {error}")
    except MemoryError as error:
        return _raised(error)
    return reply


def _encoded(value: object) -> bytes | None:
    """Return the bytes of an argument, None where the program made it something that cannot be sent."""
    try:
        return encode(value)
    except CodecError:
        return None


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
