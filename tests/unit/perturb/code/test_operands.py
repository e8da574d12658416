"""Mirrored comparisons have the same result."""

from __future__ import annotations

import operator
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.operands import OPERAND_SWAP
from tests.unit.perturb.builders import problem, run_solution

_SIGNS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(sorted(_SIGNS)), st.integers(-3, 3), st.integers(-3, 3))
def test_every_comparison_gives_the_same(sign: str, left: int, right: int) -> None:
    """Both directions, equality and its opposite."""
    before = problem(f"x = n {sign} m\n", "return x\n", signature="def old_name(n, m):")
    after = perturb_problem(before, OPERAND_SWAP, 0)

    assert "x = m" in after.prompt
    assert run_solution(after, left, right) is _SIGNS[sign](left, right)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("if (n + 1) > 2 * n:", "if 2 * n < (n + 1):"),
        ("if n>2:", "if 2<n:"),
        ("if(n)>m:", "if m<(n):"),
        ("x = [n] if m<(n)else 0; y = (n", "x = [n] if (n)>m else 0; y = (n"),
        ("if n is not None:", "if None is not n:"),
        ("if n  ==  'a # b':", "if 'a # b'  ==  n:"),
        ("if not n < m and n > 2:", "if not m > n and n > 2:"),
        ("if n < m < 3 or n > 2:", "if n < m < 3 or 2 < n:"),
        ("if n in m or n > 2:", "if n in m or 2 < n:"),
        ("if n.pop() > m:", "if m < n.pop():"),
        ("if len(n) > min(m):", "if min(m) < len(n):"),
        ("if n.é == 'é' and m:", "if 'é' == n.é and m:"),
    ],
)
def test_the_first_that_allows_it(code: str, expected: str) -> None:
    """With its brackets and blanks; chains and memberships are skipped."""
    tail = "):" if code.endswith("(n") else ""
    body = "\n    x = n\nelse:\n    x = n\n" if not tail else ")\n"
    before = problem(f"{code}{body}", "return x\n", signature="def old_name(n, m):")

    assert perturb_problem(before, OPERAND_SWAP, 0).prompt == before.prompt.replace(code, expected)


@pytest.mark.parametrize(
    "code",
    [
        "x = n.pop() > n.pop()",  # which is popped first matters
        "x = next(n) == m[0]",
        "x = (m := n) > m",
        "x = n == n",
        "x = (n) == n",  # another text, the same tree
        'x = f"{n > m}"',  # has no known position before Python 3.12
        "x = (n >  # much\n     m)",  # the comment would change sides
    ],
)
def test_a_comparison_whose_result_could_change_stays(code: str) -> None:
    """The order of evaluation is part of the program."""
    before = problem(f"{code}\n", "return x\n", signature="def old_name(n, m):")

    assert OPERAND_SWAP.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def test_what_is_not_given_stays() -> None:
    """The model writes the rest of the solution."""
    before = problem("x = n\n", "return x > 2\n")

    assert OPERAND_SWAP.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography
