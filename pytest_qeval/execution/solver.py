"""The untrusted side of one program: execute its code, then answer the judge's calls with plain values.

The process is forked from the worker before the program arrives. It never holds the test, the nonce, or any descriptor
but its channel to the judge; everything it sends is taken for an answer to be judged and for nothing else.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import CodecError, UnsupportedValueError, encode
from pytest_qeval.execution.limits import allow_cpu_time, allow_reserve

__all__ = ["MODULE_NAME", "serve"]

MODULE_NAME = "solution"
"""The module that a program's code runs as, so that dataclasses and pickle find its classes."""


def serve(channel: Channel) -> NoReturn:
    """Answer requests until the judge hangs up."""
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
    allow_cpu_time(timeout_s)
    module = types.ModuleType(MODULE_NAME)
    sys.modules[MODULE_NAME] = module
    namespace = module.__dict__
    try:
        compiled = compile(code, "<solution>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes or lone surrogates
        return namespace, ("syntax", _describe_syntax(error))
    except (MemoryError, RecursionError) as error:
        return namespace, _raised(error)
    # The program is exactly what this process exists for.
    outcome = _attempt(lambda: exec(compiled, namespace))  # noqa: S102
    if outcome is not None:
        return namespace, outcome
    if not callable(namespace.get(entry_point)):
        return namespace, ("raised", ["NameError"], f"the program defines no function {entry_point!r}")
    return namespace, ("loaded",)


def _call(namespace: dict[str, Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[object, ...]:
    before = [_encoded(value) for value in (*args, *kwargs.values())]
    result: list[object] = []
    outcome = _attempt(lambda: result.append(namespace[name](*args, **kwargs)))
    if outcome is not None and outcome[0] != "raised":
        return outcome
    after = enumerate((*args, *kwargs.values()))
    changed = {index: value for index, value in after if _encoded(value) != before[index]}
    reply = ("returned", result[0], changed) if outcome is None else (*outcome, changed)
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
    """Run untrusted code; None when it returns."""
    try:
        action()
    except MemoryError as error:
        allow_reserve()
        return _raised(error)
    except BaseException as error:  # noqa: BLE001 - SystemExit as well: the judge decides what it means
        return _raised(error)
    return None


def _raised(error: BaseException) -> tuple[object, ...]:
    names = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, BaseException)]
    try:
        message = str.__str__(str(error))[:1000]
    except BaseException:  # noqa: BLE001 - a __str__ of the program's own
        message = ""
    return ("raised", names, message)


def _describe_syntax(error: SyntaxError | ValueError) -> str:
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    return f"SyntaxError: {error}"
