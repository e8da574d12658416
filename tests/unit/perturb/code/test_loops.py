"""Loops written the other way do the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.loops import FOR_WHILE
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import problem, run_solution

_BODY = """\
    seen.append(i)
    if i in skipped:
        continue
    seen.append("kept")
    if i in last:
        break
"""
_ELSE = "else:\n    seen.append('else')\n"
_REST = "seen.append(n)\nreturn seen\n"
_FEW = st.sets(st.integers(-6, 6), max_size=3)


def _looping(head: str, *, orelse: str, first: str = "i = None") -> Problem:
    return problem(
        f"seen = []\n{first}\n{head}\n{_BODY}{orelse}seen.append(i)\n",
        _REST,
        signature="def old_name(n, skipped, last):",
    )


@settings(deadline=None)
@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=3).filter(lambda given: 0 not in given[2:]),
    _FEW, _FEW, st.sampled_from(["", _ELSE]),
)  # fmt: skip
def test_a_range_is_counted(bounds: list[int], skipped: set[int], last: set[int], orelse: str) -> None:
    """With any bounds, with `continue`, `break` and `else`, and with the last value after the loop."""
    before = _looping(f"for i in range({', '.join(map(str, bounds))}):", orelse=orelse)
    after = perturb_problem(before, FOR_WHILE, 0)

    assert "for i" not in after.prompt
    assert "while index" in after.prompt
    assert run_solution(after, 1, skipped, last) == run_solution(before, 1, skipped, last)


@settings(deadline=None)
@given(
    st.sampled_from(
        ["n", "iter(n)", "(x for x in n)", "(*n, 1)", "*n, 1", "set(n)", "dict.fromkeys(n)", "range(*n[:1])"]
    ),
    st.lists(st.integers(-6, 6), max_size=5), _FEW, _FEW, st.sampled_from(["", _ELSE]),
)  # fmt: skip
def test_anything_is_iterated(items: str, n: list[int], skipped: set[int], last: set[int], orelse: str) -> None:
    """Items of sequences, sets, mappings and iterators are taken one by one, as late as before."""
    before = _looping(f"for i in {items}:", orelse=orelse)
    after = perturb_problem(before, FOR_WHILE, 0)

    assert "is not items" in after.prompt
    if items != "range(*n[:1])" or n:
        assert run_solution(after, n, skipped, last) == run_solution(before, n, skipped, last)


@settings(deadline=None)
@given(st.integers(0, 6), _FEW, _FEW, st.sampled_from(["", _ELSE]))
def test_while_becomes_for(n: int, skipped: set[int], last: set[int], orelse: str) -> None:
    """The condition is evaluated before every round; `else` runs when it fails and not after `break`."""
    before = _looping("while n > 0:\n    n -= 1\n    i = n", orelse=orelse)
    after = perturb_problem(before, FOR_WHILE, 0)

    assert "while" not in after.prompt
    assert run_solution(after, n, skipped, last) == run_solution(before, n, skipped, last)


def test_a_list_that_grows_is_followed() -> None:
    """`for` sees what is appended while it runs; a copy would not."""
    before = problem("seen = [n]\nfor i in seen:\n    if i < 3:\n", "        seen.append(i + 1)\nreturn seen\n")
    after = perturb_problem(before, FOR_WHILE, 0)

    assert after != before
    assert run_solution(after, 0) == run_solution(before, 0) == [0, 1, 2, 3]


def test_a_limit_that_changes_is_evaluated_once() -> None:
    """`range` does not evaluate it again."""
    before = problem("i = 0\nfor i in range(n):\n    n += 1\n", "    i += 5\nreturn i, n\n")
    after = perturb_problem(before, FOR_WHILE, 0)

    assert after != before
    assert run_solution(after, 3) == run_solution(before, 3) == (7, 6)


def test_a_loop_that_spans_the_cut_changes_only_its_head() -> None:
    """The counter changes before the body, so the body can be continued as before."""
    before = problem("total = 0\nfor i in range(n):\n", "    total += i\nreturn total\n")
    after = perturb_problem(before, FOR_WHILE, 0)

    assert after.canonical_solution == before.canonical_solution
    assert after.prompt.endswith("    while index < n:\n        i = index\n        index += 1\n")
    assert run_solution(after, 5) == 10


def test_a_counter_never_hides_a_variable() -> None:
    """It takes another name."""
    before = problem("index = 7\nfor i in range(n):\n    pass\n", "return index\n")
    after = perturb_problem(before, FOR_WHILE, 0)

    assert "index_2 = 0" in after.prompt
    assert run_solution(after, 3) == 7


@pytest.mark.parametrize(
    "given_half",
    [
        "x = [i for i in range(n)]\n",  # a comprehension is no loop statement
        "for i in range(n): x = i\n",  # on one line
        "x = n\n",
        "next = 0\nfor i in range(n):\n    next += i\n",  # what the rewritten loop would call is something else
    ],
)
def test_where_there_is_no_loop_nothing_changes(given_half: str) -> None:
    """A loop in the rest of the solution does not count, since the model does not see it."""
    before = problem(given_half, "for i in range(n):\n    pass\nreturn n\n")

    assert FOR_WHILE.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def test_everything_else_stays() -> None:
    """Comments, blanks and quotes outside the loop's head stay, byte for byte."""
    body = "x  = 'a'  # why\n\nfor  i  in  range( 2 ,n ) :  # count\n    # each\n\n    x +=\"b\"\n"
    before = problem(body, "return  x\n")
    after = perturb_problem(before, FOR_WHILE, 0)
    head = "    for  i  in  range( 2 ,n ) :  # count\n"
    changed = "    index = 2\n    while index < n:  # count\n        i = index\n        index += 1\n"

    assert after.prompt == before.prompt.replace(head, changed)
