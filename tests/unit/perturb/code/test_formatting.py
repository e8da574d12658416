"""Line ends, blanks, indentation and comments that change nothing for Python."""

from __future__ import annotations

import ast
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval import registry
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.formatting import (
    DOC_TO_COMMENTS,
    NEW_LINE_AFTER_CODE,
    NEW_LINE_AFTER_DOC,
    NEW_LINES,
    SPLIT_LINES,
    TAB_INDENT,
)
from tests.unit.perturb.builders import nominal_problems, problem, run_solution, source_of

BENCHMARKS = ("humaneval", pytest.param("mbpp-function", marks=pytest.mark.golden))


@pytest.mark.parametrize("name", ["new_line_after_code", "new_line_after_doc", "new_lines", "split_lines"])
@pytest.mark.parametrize("benchmark", BENCHMARKS)
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
    """Not in strings and not after a backslash; at least one, and no line is lost."""
    before = problem("".join(lines), "return n\n")
    after = perturb_problem(before, NEW_LINES, seed)

    assert after.prompt != before.prompt
    assert [line for line in after.prompt.splitlines() if line] == [line for line in before.prompt.splitlines() if line]
    assert ast.dump(ast.parse(source_of(after))) == ast.dump(ast.parse(source_of(before)))


def test_new_line_after_code() -> None:
    """One more line end at the very end, which nothing may strip."""
    before = problem("x = n\n", "return x\n")

    assert perturb_problem(before, NEW_LINE_AFTER_CODE, 0).prompt == before.prompt + "\n"


@pytest.mark.parametrize("given_half", ["x = '''a\n", "x = n + \\\n"])
def test_no_new_line_where_it_would_change_the_program(given_half: str) -> None:
    """A prompt that ends in an open string, or after a backslash, is unchanged."""
    rest = "b'''\nreturn x\n" if "'" in given_half else "    1\nreturn x\n"
    before = problem(given_half, rest)

    assert NEW_LINE_AFTER_CODE.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def test_new_line_after_doc() -> None:
    """After the docstring's last line."""
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
    """At blanks between two tokens; the next line is indented deeper. Shorter lines and the signature stay."""
    before = problem(f"x = n\n{line}\n", "return x\n")

    assert perturb_problem(before, SPLIT_LINES, 0).prompt == before.prompt.replace(line, expected)


def test_without_a_blank_no_line_is_broken() -> None:
    """MBPP/209 and MBPP/372 have no other lines."""
    before = problem("x(n)\n", "return x\n")

    assert SPLIT_LINES.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def test_tabs_in_prompt_and_solution() -> None:
    """In ReCode the solution keeps its blanks, so none of its 164 programs compiles."""
    before = problem("if n:\n    x = n\n", "    x += 1\nreturn x\n")
    after = perturb_problem(before, TAB_INDENT, 0)

    assert after.prompt.endswith('\t>>> old_name(1)\n\t1\n\t"""\n\tif n:\n\t\tx = n\n')
    assert after.canonical_solution == "\t\tx += 1\n\treturn x\n"
    assert run_solution(after, 3) == 4


def test_blocks_are_a_tab_each() -> None:
    """However many blanks they had: HumanEval/80 and 109 have blocks of two and six."""
    before = problem("if n:\n  if n > 1:\n       x = n\n  else:\n    x = 0\n", "return x\n")
    after = perturb_problem(before, TAB_INDENT, 0)

    assert after.prompt.endswith("\tif n:\n\t\tif n > 1:\n\t\t\tx = n\n\t\telse:\n\t\t\tx = 0\n")
    assert run_solution(after, 2) == 2


def test_strings_keep_their_blanks() -> None:
    """Text that a program prints is no indentation; lines of blanks stay, too."""
    before = problem("x = '''\n    a\n'''\n    \n", "return x\n")
    after = perturb_problem(before, TAB_INDENT, 0)

    assert after.prompt.endswith("\tx = '''\n        a\n    '''\n    \n")
    assert run_solution(after, 1) == run_solution(before, 1)


def test_no_indentation_is_left() -> None:
    """In all of HumanEval the code stays what it was."""
    for before in nominal_problems("humaneval", TAB_INDENT):
        after = perturb_problem(before, TAB_INDENT, 0)

        assert _without_docstrings(after.prompt + after.canonical_solution) == _without_docstrings(source_of(before))
        assert "\n    return" not in after.canonical_solution


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_docstring_as_comments_changes_no_code(benchmark: str) -> None:
    """The syntax tree is the same but for the docstring."""
    perturbation = registry.load("perturbations", "doc_to_comments")
    for before in nominal_problems(benchmark, perturbation):
        after = perturb_problem(before, perturbation, 0)
        tree = ast.parse(source_of(before))
        function = next(
            node
            for node in reversed(tree.body)
            if isinstance(node, ast.FunctionDef) and node.name == before.entry_point
        )
        function.body = [node for node in function.body if not _is_text(node)] or function.body

        assert ast.dump(ast.parse(source_of(after))) == ast.dump(tree)


def test_doc_to_comments() -> None:
    """Quotes go, each line becomes a comment, deeper lines stay deeper, empty lines stay empty."""
    before = problem("x = n\n", "return x\n")
    text = '    """ Say\n      "more"  \n\n    """\n'
    before = replace(before, prompt="def old_name(n):\n" + text + "    x = n\n")
    expected = 'def old_name(n):\n    # Say\n    #   "more"  \n\n    x = n\n'

    assert perturb_problem(before, DOC_TO_COMMENTS, 0).prompt == expected


def test_a_docstring_on_one_line() -> None:
    """It becomes one comment, whatever quotes it had."""
    before = replace(problem("", "return n\n"), prompt="def old_name(n):\n    r'''Say \\d.'''\n    x = n\n")

    assert perturb_problem(before, DOC_TO_COMMENTS, 0).prompt == "def old_name(n):\n    # Say \\d.\n    x = n\n"


def test_code_on_the_line_of_a_docstring_keeps_it() -> None:
    """A comment would swallow the code."""
    before = replace(problem("", "return x\n"), prompt='def old_name(n):\n    """Say."""; x = n\n')

    assert DOC_TO_COMMENTS.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [one for one in node.body if not _is_text(one)]
    return ast.dump(tree)
