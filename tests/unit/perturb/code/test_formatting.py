"""Line ends and blanks that change nothing for Python."""

from __future__ import annotations

import ast
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval import registry
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.formatting import NEW_LINE_AFTER_CODE, NEW_LINE_AFTER_DOC, NEW_LINES, SPLIT_LINES
from tests.unit.perturb.builders import nominal_problems, problem, source_of


@pytest.mark.parametrize("name", ["new_line_after_code", "new_line_after_doc", "new_lines", "split_lines"])
@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp-function"])
def test_the_syntax_tree_stays(name: str, benchmark: str) -> None:
    """Strings too: ReCode's split_lines breaks or changes seven of HumanEval's programs."""
    perturbation = registry.load("perturbations", name)
    for before in nominal_problems(benchmark, perturbation):
        after = perturb_problem(before, perturbation, 0)

        assert ast.dump(ast.parse(source_of(after))) == ast.dump(ast.parse(source_of(before)))
        assert after.canonical_solution == before.canonical_solution


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["x = n\n", "x = '''a\n\nb'''\n", "x = n + \\\n    1\n", "x = [\n    n,\n]\n", "# x\n"]),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 5),
)
def test_new_lines_are_empty_lines_between_lines(lines: list[str], seed: int) -> None:
    """Not in strings and not behind a backslash; at least one, and none is lost."""
    before = problem("".join(lines), "return n\n")
    after = perturb_problem(before, NEW_LINES, seed)

    assert after.prompt != before.prompt
    assert [line for line in after.prompt.splitlines() if line] == [line for line in before.prompt.splitlines() if line]
    assert ast.dump(ast.parse(source_of(after))) == ast.dump(ast.parse(source_of(before)))


def test_new_line_after_code() -> None:
    """One more line end, and it is at the very end: nobody may strip a prompt."""
    before = problem("x = n\n", "return x\n")

    assert perturb_problem(before, NEW_LINE_AFTER_CODE, 0).prompt == before.prompt + "\n"


@pytest.mark.parametrize("given_half", ["x = '''a\n", "x = n + \\\n"])
def test_no_new_line_where_it_would_change_the_program(given_half: str) -> None:
    """A prompt that ends in an open string, or behind a backslash, is left alone."""
    rest = "b'''\nreturn x\n" if "'" in given_half else "    1\nreturn x\n"
    before = problem(given_half, rest)

    assert NEW_LINE_AFTER_CODE.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def test_new_line_after_doc() -> None:
    """Behind the docstring's last line."""
    before = problem("x = n\n", "return x\n")
    expected = before.prompt.replace('1\n    """\n', '1\n    """\n\n')

    assert perturb_problem(before, NEW_LINE_AFTER_DOC, 0).prompt == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("total = n + n * 1000", "total = n \\\n        + n * 1000"),
        ("total = 'a long text with blanks' + n", "total = \\\n        'a long text with blanks' + n"),
        ("total = f'a {n} text {n} with blanks' + n", "total = \\\n        f'a {n} text {n} with blanks' + n"),
        ("total = n  # the reason why it is so", "total = \\\n        n  # the reason why it is so"),
        ("return''.join(str(n)for x in[n])", "return''.join(str(n)for \\\n        x in[n])"),
    ],
)
def test_the_longest_line_is_broken_near_its_middle(line: str, expected: str) -> None:
    """At blanks between two tokens; the next line is one block deeper. Shorter lines and the signature stay."""
    before = problem(f"x = n\n{line}\n", "return x\n")

    assert perturb_problem(before, SPLIT_LINES, 0).prompt == before.prompt.replace(line, expected)


def test_without_a_blank_no_line_is_broken() -> None:
    """MBPP/209 and MBPP/372 have no other lines."""
    before = problem("x(n)\n", "return x\n")

    assert SPLIT_LINES.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography
