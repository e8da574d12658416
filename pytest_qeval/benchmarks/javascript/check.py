"""Compare results of JavaScript with expected values; this source is part of each problem's test.

A result has the types of Python that `execution/solver.js` sends: None is null, an int or a float is a number, and
a tuple describes a value that no test expects, such as `undefined`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any


def is_same(result: Any, expected: Any) -> bool:
    """Return whether a result is deeply equal to a value of JSON, as lodash's `isEqual` has it: NaN equals NaN."""
    if isinstance(result, bool) or isinstance(expected, bool):
        return result is expected
    if isinstance(result, (int, float)) and isinstance(expected, (int, float)):
        return result == expected or (math.isnan(result) and math.isnan(expected))
    if isinstance(result, list) and isinstance(expected, list):
        return len(result) == len(expected) and all(map(is_same, result, expected))
    if isinstance(result, dict) and isinstance(expected, dict):
        return result.keys() == expected.keys() and all(is_same(result[key], expected[key]) for key in expected)
    return type(result) is type(expected) and bool(result == expected)


def show(value: Any) -> str:
    """Write a value as JavaScript does."""
    if isinstance(value, tuple):
        return str(value[0])
    if isinstance(value, list):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{show(key)}: {show(item)}' for key, item in value.items())}}}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def check_calls(candidate: Callable[..., Any], name: str, calls: Sequence[tuple[Sequence[Any], Any]]) -> None:
    """Call a function with arguments; raise an AssertionError that names the first wrong result."""
    for arguments, expected in calls:
        result = candidate(*arguments)
        if not is_same(result, expected):
            call = f"{name}({', '.join(map(show, arguments))})"
            raise AssertionError(f"{call} gave {show(result)}, expected {show(expected)}")
