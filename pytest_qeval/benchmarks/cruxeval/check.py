"""The test of CRUXEval: run its function, which is trusted, and compare.

A judge executes its source in a namespace of its own, so it imports only the standard library. What the program returns
is a value that the judge's decoder made, or stands for an object that stayed with the program.
"""

import reprlib
from collections.abc import Callable
from typing import Any

_SCALARS = (type(None), bool, int, float, complex, str, bytes)
_SEQUENCES = (list, tuple, set, frozenset)


def is_plain(value: Any) -> bool:
    """Return whether a value consists of builtin data, by its exact types: nothing in it can answer for itself."""
    kind = type(value)
    if kind in _SEQUENCES:
        return all(map(is_plain, value))
    if kind is dict:
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    return kind in _SCALARS or kind is range


def check_output(candidate: Callable[[], Any], *, code: str, call: str) -> str:
    """Return what is wrong with the value that a completion gives for a call; empty where it is the call's."""
    space: dict[str, Any] = {}
    exec(compile(code, "<code>", "exec", dont_inherit=True), space)  # noqa: S102 - the benchmark's own source
    expected = eval(call, space)  # noqa: S307 - the benchmark's own call
    given = candidate()
    if is_plain(given) and given == expected:
        return ""
    return f"{call} returns {reprlib.repr(expected)}, not {reprlib.repr(given)}"


def check_input(candidate: Callable[[], Any], *, code: str, output: str, takes_function: bool) -> str:
    """Return what is wrong with the arguments of a completion; empty where the function returns the output for them.

    With `takes_function`, an argument may be a function or a class, which the code calls.
    """
    given = candidate()
    if not (type(given) is tuple and [type(part) for part in given] == [tuple, dict]):
        return "the completion gives no arguments"
    positional, named = given
    arguments = [*positional, *named.values()]
    if not all(is_plain(argument) or (takes_function and callable(argument)) for argument in arguments):
        return "an argument is no plain data"
    space: dict[str, Any] = {}
    exec(compile(code, "<code>", "exec", dont_inherit=True), space)  # noqa: S102 - the benchmark's own source
    expected = eval(output, {})  # noqa: S307 - the benchmark's own literal
    returned = space["f"](*positional, **named)
    if is_plain(returned) and returned == expected:
        return ""
    return f"it returns {reprlib.repr(returned)}, not {reprlib.repr(expected)}"
