"""From the JavaScript of a published test to a test in Python, which the judge runs beside every other.

Each published test is a list of calls with literal arguments and literal results, which are compared by lodash's
`isEqual`. So nothing of it has to be executed: the calls are read, and `check.py` compares.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pytest_qeval.benchmarks.javascript import check

_HEAD = re.compile(
    r"\s*const _ = require\(\"lodash\"\)\s*"
    r"function compare\(object1, object2\)\s*\{\s*return _\.isEqual\(object1, object2\)\s*\}\s*"
)
_CALL = re.compile(
    r"(?P<arguments>(?:var \w+ = .*;\n)*)"
    r"var (?P<result>\w+) = (?P<function>\w+)\((?P<names>[\w, ]*)\);\n"
    r"var (?P<expected>\w+) = (?P<value>.*);\n"
    r"if\(!compare\((?P=result), (?P=expected)\)\)\s*\{\s*throw .*\s*\}\s*"
)
_ARGUMENT = re.compile(r"var (\w+) = (.*);\n")
_QUOTED_KEY = re.compile(r"'([^'\\]*)'(?=:)")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = '"\\/bfnrtu'
"""What may follow a backslash in JSON; any other character stands for itself in JavaScript."""
_TEST = """\
{source}

CALLS = {calls!r}


def check(candidate):
    check_calls(candidate, {name!r}, json.loads(CALLS))
"""


class Call(NamedTuple):
    """A call of the function under test."""

    arguments: list[Any]
    expected: Any


def read_calls(test: str, name: str) -> list[Call]:
    """Read the calls of a published test of the function `name`.

    Raises:
        ValueError: with the text that is not of the published form.
    """
    head = _HEAD.match(test)
    calls, at = [], head.end() if head else 0
    while head and (found := _CALL.match(test, at)):
        arguments = dict(_ARGUMENT.findall(found["arguments"]))
        if found["function"] != name or list(arguments) != re.findall(r"\w+", found["names"]):
            break
        calls.append(Call([*map(_literal, arguments.values())], _literal(found["value"])))
        at = found.end()
    if at < len(test) or not calls:
        raise ValueError(f"expected calls of {name} and lodash's isEqual, found {test[at : at + 40].strip()!r}")
    return calls


def python_test(calls: list[Call], name: str) -> str:
    """Return the source of a test that makes the calls."""
    return _TEST.format(source=_check_source(), calls=json.dumps(calls), name=name)


def _literal(text: str) -> Any:
    """Read a literal of numbers, strings, arrays and objects."""
    text = _QUOTED_KEY.sub(lambda key: json.dumps(key[1]), text)
    text = _ESCAPE.sub(lambda escape: escape[0] if escape[1] in _ESCAPES else escape[1], text)
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int:
    """Read an integer with the precision of JavaScript's numbers."""
    return int(float(digits))


@cache
def _check_source() -> str:
    return Path(check.__file__).read_text(encoding="utf-8")
