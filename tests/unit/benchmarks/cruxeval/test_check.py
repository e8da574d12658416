"""The trusted test of CRUXEval, with functions in place of what the judge gets from a program."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

import pytest

from pytest_qeval.benchmarks.cruxeval.check import check_input, check_output, is_plain
from pytest_qeval.benchmarks.cruxeval.rows import CruxRow
from pytest_qeval.execution.carried import FieldTuple
from tests.unit.benchmarks.cruxeval.rows import CALLING, JOIN, NAMED


class Yes:
    """Equals everything, and has every method."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __getattr__(self, _: str) -> Any:
        return lambda *_: "a-b-!"


class Text(str):  # noqa: SLOT000 - as a program would write it
    """A text that answers for itself."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


PLAIN: tuple[object, ...] = (
    None,
    True,
    1,
    1.5,
    2j,
    "a",
    b"a",
    [1, ("a",)],
    {1, 2},
    frozenset(),
    {"a": {1: [None]}},
    range(3),
    (),
    float("nan"),
)
NOT_PLAIN: tuple[object, ...] = (
    Yes(), Text("a"), [Yes()], {"a": Yes()}, {Yes(): 1}, (1, [Text()]), len, int, Yes, ..., Counter("a"), OrderedDict(),
    FieldTuple.of(("a",), [1]), iter("a"), bytearray(b"a"),
)  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_builtin_data_are_plain(value: object) -> None:
    assert is_plain(value)


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda value: type(value).__name__)
def test_nothing_else_is_plain(value: object) -> None:
    """Neither a subclass nor what hides in a container."""
    assert not is_plain(value)


def output(row: CruxRow, value: object) -> str:
    return check_output(lambda: value, code=row.code, call=row.call)


def input_(row: CruxRow, given: object) -> str:
    return check_input(lambda: given, code=row.code, output=row.output, takes_function=row.takes_function)


def test_the_value_of_the_call_is_right() -> None:
    """It is computed, in a namespace that has what the code defines."""
    assert output(JOIN, "a-b-!") == ""
    assert output(NAMED, [2, 1]) == ""
    assert output(JOIN, "a-b") == "f(['a', 'b'], '!') returns 'a-b-!', not 'a-b'"


@pytest.mark.parametrize("value", [Yes(), Text(), [Yes()]], ids=["yes", "text", "list"])
def test_a_value_that_equals_everything_is_wrong(value: object) -> None:
    assert output(JOIN, value).startswith("f(['a', 'b'], '!') returns 'a-b-!', not ")


def test_any_arguments_that_work_are_right() -> None:
    assert input_(JOIN, ((["a", "b"], "!"), {})) == ""
    assert input_(JOIN, ((["a"],), {"mark": "b-!"})) == ""
    assert (
        input_(
            JOIN,
            (("a", "b"), {}),
        )
        if False
        else input_(NAMED, (([1, 2],), {})) == ""
    )
    assert input_(JOIN, ((["a"], "b"), {})) == "it returns 'a-b', not 'a-b-!'"


@pytest.mark.parametrize(
    "given",
    [None, (), ((), {}, 1), ([], {}), ((), []), ((), OrderedDict()), (FieldTuple.of(("a",), [1]), {}), Yes(), "ab"],
)
def test_what_is_no_call_gives_no_arguments(given: object) -> None:
    """The pair of an untouched program is a tuple and a dict, by their exact types."""
    assert input_(JOIN, given) == "the completion gives no arguments"


@pytest.mark.parametrize(
    "given", [((Yes(), "!"), {}), ((["a", Text()], "!"), {}), ((["a"],), {"mark": Yes()}), ((len, 1), {})]
)
def test_an_argument_that_answers_for_itself_is_wrong(given: object) -> None:
    assert input_(JOIN, given) == "an argument is no plain data"


def test_a_function_is_an_argument_where_the_code_calls_one() -> None:
    """What it returns must be plain as well, and it may not hide in a container."""
    assert input_(CALLING, (([0, 3], lambda x: x < 2), {})) == ""
    assert input_(CALLING, (([1, 0], bool), {})) == ""
    assert input_(CALLING, (([0, 3], lambda _: Yes()), {})).startswith("it returns [")
    assert input_(CALLING, (([Yes(), 3], bool), {})) == "an argument is no plain data"


def test_an_error_of_the_function_is_raised() -> None:
    """The judge says what it was."""
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        input_(JOIN, (([],), {}))
