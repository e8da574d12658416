"""Values that do not cross the border: the same verdict as plain Python, or the status that says so."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Program
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation


class _Case(NamedTuple):
    name: str
    verdict: str
    program: str
    test: str


def _read_cases() -> list[_Case]:
    text = Path(__file__).with_name("unusual_values.txt").read_text(encoding="utf-8")
    text = re.sub(r"^## .*\n", "", text, flags=re.MULTILINE)
    parts = re.split(r"^### (.*) -> (.*)\n", text, flags=re.MULTILINE)[1:]
    return [_Case(name, verdict, *code.split("---\n")) for name, verdict, code in zip(*(iter(parts),) * 3, strict=True)]


CASES = _read_cases()
LIES = {
    "every comparison": ("__eq__ __lt__ __le__ __gt__ __ge__", "assert f() < 3 or f() >= 3"),
    "any content": ("__contains__", "assert 'a' in f()"),
    "arithmetic": ("__sub__ __rsub__ __abs__", "assert abs(f() - 3.5) < 1e-6"),
    "arithmetic from the right": ("__rsub__", "assert not 3.5 - f()"),
    "a text's beginning": ("startswith", "assert f().startswith('a')"),
    "a table's content": ("equals", "assert f().equals([1])"),
    "a text's kind": ("isdigit", "assert f().isdigit()"),
    "a set's relation": ("issubset", "assert f().issubset({1})"),
    "a list's count": ("count index", "assert f().count(3)"),
    "a hash": ("__hash__ __eq__", "assert f() in {3}"),
    "a rounded value": ("__round__", "assert not round(f(), 2)"),
    "its class": ("__instancecheck__ __subclasscheck__", "assert isinstance(3, f())"),
}
"""Methods that say whatever is wanted, and a test that would believe them."""


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    """Start one sandbox for all programs."""
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=1)) as pool:
        yield pool


def judged(pool: SandboxPool, program: str, test: str) -> Execution:
    check = "def check(candidate):\n    f = candidate\n" + textwrap.indent(test, "    ")
    return pool.submit(Program(prelude="", code=program, test=check, entry_point="f")).result()


def plain(program: str, test: str) -> str:
    """Return what plain Python says, as the statuses say it."""
    namespace: dict[str, Any] = {"__name__": "solution"}
    try:
        exec(program, namespace)  # noqa: S102 - this file's own text
        exec(test, namespace)  # noqa: S102 - as above
    except AssertionError:
        return "failed"
    except Exception:  # noqa: BLE001 - whatever it raises
        return "error"
    return "passed"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_unusual_values_are_judged_as_in_plain_python(pool: SandboxPool, case: _Case) -> None:
    """Whatever can be copied, or asked for without showing what the test expects; the rest is no failure either."""
    execution = judged(pool, case.program, case.test)

    expected = plain(case.program, case.test) if case.verdict == "python" else case.verdict
    assert (execution.status, execution.detail) == (expected, execution.detail)


@pytest.mark.parametrize(("methods", "test"), LIES.values(), ids=list(LIES))
def test_no_object_can_say_what_the_test_wants_to_hear(pool: SandboxPool, methods: str, test: str) -> None:
    """Such a program would pass in plain Python."""
    answer = 0 if "sub" in methods or "round" in methods else True
    body = "".join(f"    def {name}(self, *_): return {answer}\n" for name in methods.split())
    returned = "A" if "isinstance" in test else "A()"
    program = f"class M(type):\n{body}class A(metaclass=M):\n{body}def f(): return {returned}\n"

    assert judged(pool, program, test).status in {"unsupported", "failed", "error"}


def test_an_object_of_the_programs_class_equals_no_value(pool: SandboxPool) -> None:
    """The program fails, as if its class had no equality."""
    program = "class A:\n    def __eq__(self, other): return True\ndef f(): return A()\n"

    assert judged(pool, program, "assert f() == 3").status == "failed"
    assert judged(pool, program, "assert 3 == f()").status == "failed"


def test_a_long_iterator_takes_no_round_trip_an_item(pool: SandboxPool) -> None:
    """A million items are judged within the time that a program has."""
    program = "def f(n): return (i for i in range(n))\n"

    assert judged(pool, program, "assert sum(f(10 ** 5)) == 4999950000").status == "passed"
