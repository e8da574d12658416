"""Results are compared as lodash's isEqual does."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.javascript.check import check_calls, is_same, show
from pytest_qeval.schema import Json

UNDEFINED = ("undefined",)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (1, 1.0),
        (-0.0, 0),
        (math.nan, math.nan),
        ([1, [2.0]], [1.0, [2]]),
        ({"a": 1, "b": None}, {"b": None, "a": 1}),
        ("é", "é"),
    ],
)
def test_equal_values(result: Any, expected: Any) -> None:
    """JavaScript has one kind of number, and the order of keys does not count."""
    assert is_same(result, expected)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (1, True),
        (False, 0),
        (UNDEFINED, None),
        (None, False),
        ("1", 1),
        ("", None),
        ([], {}),
        ([1], [1, 2]),
        ([1, 2], [1, UNDEFINED]),
        ({"a": UNDEFINED}, {}),
        ({"a": 1}, {"b": 1}),
        (("a Map",), {}),
        (("5n",), 5),
        (math.nan, 0),
    ],
)
def test_other_values_are_not_equal(result: Any, expected: Any) -> None:
    """Nothing is converted, and what a tuple describes equals no value of JSON."""
    assert not is_same(result, expected)


@given(VALUES)
def test_every_value_equals_itself_alone(value: Any) -> None:
    """Also inside of a list, where one more item makes a difference."""
    assert is_same(value, value)
    assert is_same([value], [value])
    assert not is_same([value], value)
    assert not is_same([value, None], [value])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (2.0, "2"),
        (math.inf, "Infinity"),
        (0.5, "0.5"),
        ([True, UNDEFINED], "[true, undefined]"),
        ({"a": [("a function",)]}, '{"a": [a function]}'),
    ],
)
def test_values_are_shown_as_javascript(value: Any, text: str) -> None:
    """A failure is read by people who think in JavaScript."""
    assert show(value) == text


def test_the_first_wrong_call_is_named() -> None:
    """With its arguments, its result and the expected one."""
    calls: list[tuple[list[Any], Any]] = [([1, {}], 1), ([2, {"a": None}], 3)]

    def first(number: int, _table: Json) -> int:
        return number

    with pytest.raises(AssertionError, match=r'^first\(2, \{"a": null\}\) gave 2, expected 3$'):
        check_calls(first, "first", calls)
    check_calls(first, "first", calls[:1])
