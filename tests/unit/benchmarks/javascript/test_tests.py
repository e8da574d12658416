"""Published tests in JavaScript become tests in Python."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qeval.benchmarks.javascript.tests import python_test, read_calls
from tests.javascript import HEAD, published_test


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("[1, 2.5, -3]", [1, 2.5, -3]),
        ("null", None),
        ('{"a": [true]}', {"a": [True]}),
        ('{\'"p"\':1,"5":"y"}', {'"p"': 1, "5": "y"}),
        (r'"#\$A\n\\$"', "#$A\n\\$"),
        (r'"\/\/"', "//"),
        ("-9999999999999999", -10000000000000000),
    ],
)
def test_literals_are_read(literal: str, value: Any) -> None:
    """Numbers have JavaScript's precision, and a needless backslash is dropped."""
    test = published_test("f", ([literal, "0"], literal))

    assert read_calls(test, "f") == [([value, 0], value)]


def test_an_expression_is_no_literal() -> None:
    """Nothing of a test is executed."""
    with pytest.raises(ValueError, match="Expecting value"):
        read_calls(published_test("f", (["g(1)"], "2")), "f")


def test_calls_are_read_in_order() -> None:
    """Also one without arguments."""
    test = published_test("f", (["1", '"a, b"'], "true"), ([], "[]"))

    assert read_calls(test, "f") == [([1, "a, b"], True), ([], [])]


@pytest.mark.parametrize(
    "test",
    [
        "",
        HEAD,
        published_test("g", (["1"], "2")),
        published_test("f", (["1"], "2")) + "f(3);\n",
        published_test("f", (["1"], "2")).replace("x0, v0", "v0, v0"),
        published_test("f", (["1", "2"], "2")).replace("f(arg00, arg01)", "f(arg01, arg00)"),
        published_test("f", (["1"], "2")).replace("isEqual", "isMatch"),
    ],
    ids=["nothing", "no calls", "another function", "more", "another comparison", "another order", "another equality"],
)
def test_another_form_is_refused(test: str) -> None:
    """What is not understood is not judged by half."""
    with pytest.raises(ValueError, match="expected calls of f and lodash's isEqual"):
        read_calls(test, "f")


def test_the_python_test_makes_the_calls() -> None:
    """It holds for the right function only."""
    space: dict[str, Any] = {"__name__": "test"}
    exec(python_test(read_calls(published_test("f", (["1"], "2"), (["2"], "4")), "f"), "f"), space)  # noqa: S102

    space["check"](lambda number: 2 * number)
    with pytest.raises(AssertionError, match=r"f\(2\) gave 3, expected 4"):
        space["check"](lambda number: number + 1)
