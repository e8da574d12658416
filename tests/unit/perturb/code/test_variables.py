"""A local variable under another name."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.variables import RENAME_VARIABLE_NAIVE, RENAME_VARIABLE_RANDOM
from tests.unit.perturb.builders import run_solution, problem


def test_the_most_frequent_is_renamed_everywhere() -> None:
    """In prompt and solution, but not where the same letters are an attribute, a keyword, a string or a comment."""
    given_half = "pair = n\ntotal = n + n\ntotal += 1  # total\nbox = dict(total=total)\n"
    before = problem(given_half, "return box['total'], total\n")
    after = perturb_problem(before, RENAME_VARIABLE_NAIVE, 0)

    assert after.prompt.endswith("VAR_0 = n + n\n    VAR_0 += 1  # total\n    box = dict(total=VAR_0)\n")
    assert after.canonical_solution == "    return box['total'], VAR_0\n"
    assert run_solution(after, 2) == run_solution(before, 2)


def test_of_equally_frequent_ones_the_first_counts() -> None:
    """ReCode leaves it to the order of a set, so that its own files disagree in 21 rows."""
    before = problem("b = n\na = n\n", "return a - b\n")

    assert "VAR_0 = n\n    a = n\n" in perturb_problem(before, RENAME_VARIABLE_NAIVE, 0).prompt


@pytest.mark.parametrize(
    "given_half",
    [
        "n += n\n",  # a parameter: calls by keyword would break
        "max = n\nmax += max\n",  # hides a builtin, elsewhere it may be the builtin
        "def x(y):\n    return y\n",  # a function and its parameter
        "import math as x\n",
        'x = n\nn = f"{x}"\n',  # nobody knows where it stands before Python 3.12
        "x = n\nn = locals()\n",
        "try:\n    n = n\nexcept ValueError as x:\n    n = x\n",
        "global x\nx = n\n",
        "class A:\n    x = 1\nn = A.x + n\n",
    ],
)
def test_what_cannot_be_renamed_everywhere_stays(given_half: str) -> None:
    """When in doubt nothing is renamed."""
    before = problem(given_half, "return n\n")

    for perturbation in (RENAME_VARIABLE_NAIVE, RENAME_VARIABLE_RANDOM):
        assert perturbation.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def test_a_taken_name_is_not_given() -> None:
    """VAR_0 may be there already."""
    before = problem("VAR_0 = n\nx = VAR_0 + 1\nx += x\n", "return x, VAR_0\n")
    after = perturb_problem(before, RENAME_VARIABLE_NAIVE, 0)

    assert "VAR_0_2 += VAR_0_2" in after.prompt
    assert run_solution(after, 1) == (4, 1)


@settings(deadline=None)
@given(
    st.from_regex(r"\A[a-m]{1,6}\Z").filter(lambda name: name not in {"if", "in", "abs", "all", "hash", "help", "id"}),
    st.integers(0, 9),
)
def test_random_names_are_as_long(name: str, seed: int) -> None:
    """Letters and digits, a letter first, in the place of every use."""
    before = problem(f"x{name} = n\nx{name} += x{name}\n", f"return x{name}\n")
    after = perturb_problem(before, RENAME_VARIABLE_RANDOM, seed)
    new = after.canonical_solution.split()[-1]

    assert new != f"x{name}"
    assert new.isidentifier()
    assert new.isalnum()
    assert len(new) == len(name) + 1
    assert after.prompt == before.prompt.replace(f"x{name}", new)
