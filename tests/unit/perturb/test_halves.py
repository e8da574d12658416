"""Half of a solution given away."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.perturb.halves import half_given
from tests.unit.perturb.builders import problem, source_of


@given(st.integers(2, 30))
def test_the_first_half_is_given(count: int) -> None:
    """Half of the lines, rounded down; together prompt and solution are what they were."""
    whole = problem("", "".join(f"a{number} = n\n" for number in range(count)))
    half = half_given(whole)

    assert half
    assert source_of(half) == source_of(whole)
    assert half.prompt.endswith(f"a{count // 2 - 1} = n\n")
    assert (half.test, half.entry_point) == (whole.test, whole.entry_point)


def test_one_line_has_no_half() -> None:
    """Nothing could be given away but the answer."""
    assert half_given(problem("", "return n\n")) is None


def test_blank_lines_alone_are_no_half() -> None:
    """HumanEval/134 begins with a line of one blank."""
    assert half_given(problem("", "\nx = n\nreturn x\n")) is None


def test_what_follows_the_function_does_not_count() -> None:
    """MBPP's helpers stand behind the function; half of the function is given, not half of the file."""
    whole = problem("", "x = n\nreturn helper(x)\n")
    half = half_given(replace(whole, canonical_solution=whole.canonical_solution + _HELPER))

    assert half
    assert half.prompt == whole.prompt + "    x = n\n"
    assert half.canonical_solution.endswith(_HELPER)


_HELPER = "\n\ndef helper(x):\n    y = x\n    y += 1\n    y += 1\n    return y\n"
