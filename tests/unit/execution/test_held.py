"""Results that stay with the program: their digests, and their values where they are asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.execution.held import SMALL_BYTES, digest_of
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Program, ReferenceExecution
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner))
LARGE = [0] * SMALL_BYTES


@given(VALUES)
def test_copies_have_the_same_digest(value: Any) -> None:
    """Whatever objects they share, and however often."""
    again = copy.deepcopy(value)
    text = str(again)

    assert digest_of([again, text, LARGE]) == digest_of([value, "".join(list(text)), list(LARGE)])
    assert digest_of([again, again, LARGE]) == digest_of([value, again, LARGE])


@given(VALUES, VALUES)
def test_other_values_have_another_digest(one: Any, other: Any) -> None:
    """Also where they are equal, as 1 and 1.0 are."""
    same = repr(one) == repr(other)

    assert (digest_of([one, LARGE]) == digest_of([other, LARGE])) == same
    assert digest_of([one, LARGE]) != digest_of((one, LARGE))


@pytest.mark.parametrize("size", [4095, 4096, 4097, 8192, 10_000])
def test_every_item_of_a_long_list_counts(size: int) -> None:
    """It is written in pieces."""
    digests = {digest_of([index == changed for index in range(size)]) for changed in (0, 4095, 4096, size - 1, -1)}

    assert len(digests) == len({0, 4095, 4096, size - 1, -1} & {-1, *range(size)})
    assert digest_of([0] * size) != digest_of([0] * (size + 1))


class _Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", [1, "short", [], "x" * 200, object(), [object(), LARGE], _Text("x" * 999)])
def test_small_values_and_objects_have_none(value: object) -> None:
    """They are sent as they are, or referred to."""
    assert digest_of(value) == b""


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    """Return one sandbox."""
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=60.0, workers=1)) as running:
        yield running


def run(pool: SandboxPool, result: str, comparison: str, **fields: Any) -> Execution:
    """Execute a function that returns `result`, with a test that compares what it holds."""
    test = f"def check(candidate):\n    held = candidate.hold(3)\n    assert {comparison}\n"
    test += "def note_expected(candidate):\n    return [candidate.hold(3).digest]\n"
    code = f"class Own:\n    pass\n\ndef f(n):\n    return {result}\n"
    return pool.submit(Program(prelude="", code=code, test=test, entry_point="f", **fields)).result()


@pytest.mark.parametrize(
    ("result", "comparison"),
    [
        ("n", "held.digest == b'' and held.value() == 3"),
        ("[n] * 1000", "len(held.digest) == 32 and held.value() == [3] * 1000"),
        ("{n: 'x' * 1000}", "len(held.digest) == 32 and held.value() == held.value() == {3: 'x' * 1000}"),
        ("[(n, 'x' * 2**12)] * 2**13", "len(held.digest) == 32 and held.value() == [(3, 'x' * 2**12)] * 2**13"),
        ("((n, 'x' * 2**12),) * 2**13", "type(held.value()) is tuple and len(held.value()) == 2**13"),
        ("Own()", "held.digest == b'' and held.value() is not None and held.value() != 3"),
        ("[Own()] * 1000", "held.digest == b'' and len(held.value()) == 1000"),
    ],
)
def test_values_come_as_they_are(pool: SandboxPool, result: str, comparison: str) -> None:
    """Small ones at once, large ones when they are asked for, and those beyond a message's size in pieces."""
    execution = run(pool, result, comparison)

    assert (execution.status, execution.detail) == ("passed", "")


def test_a_digest_is_the_same_in_every_process(pool: SandboxPool) -> None:
    """Also that of a set."""
    noted = [run(pool, "{str(i) for i in range(n * 99)}", "True", is_reference=True) for _ in range(2)]

    assert isinstance(noted[0], ReferenceExecution)
    assert isinstance(noted[1], ReferenceExecution)
    assert noted[0].expected == noted[1].expected
    assert len(noted[0].expected) > 32


def test_a_programs_own_limits_are_those_of_its_process(pool: SandboxPool) -> None:
    """It may use more memory than the session gives, as far as it was told, and no more."""
    needs_much = "len(bytearray(1300 * 2**20)) + n"
    comparison = "held.value() == 1300 * 2**20 + 3"

    assert run(pool, needs_much, comparison).status == "memory"
    assert run(pool, needs_much, comparison, memory_bytes=2**31).status == "passed"
    raising = f"__import__('resource').setrlimit(9, (2**31, 2**31)) or {needs_much}"
    assert run(pool, raising, comparison).status in {"error", "memory"}
