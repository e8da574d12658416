"""Tabs for blanks, comments for the docstring."""

from __future__ import annotations

import ast
import random
from dataclasses import replace

import pytest

from pytest_qeval import registry
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.formatting import DOC_TO_COMMENTS, TAB_INDENT
from tests.unit.perturb.builders import run_solution, nominal_problems, problem, source_of


def test_tabs_in_prompt_and_solution() -> None:
    """ReCode leaves the solution as it was, so that none of its 164 programs compiles."""
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
    """What a program prints is not its indentation; lines of blanks stay too."""
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


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp-function"])
def test_a_docstring_as_comments_changes_no_code(benchmark: str) -> None:
    """And no line of it is lost."""
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
    """Quotes go, each line gets its mark, deeper lines stay deeper, empty lines stay empty."""
    before = problem("x = n\n", "return x\n")
    text = '    """ Say\n      "more"  \n\n    """\n'
    before = replace(before, prompt="def old_name(n):\n" + text + "    x = n\n")
    expected = 'def old_name(n):\n    # Say\n    #   "more"  \n\n    x = n\n'

    assert perturb_problem(before, DOC_TO_COMMENTS, 0).prompt == expected


def test_a_docstring_on_one_line() -> None:
    """It is one comment, whatever quotes it had."""
    before = replace(problem("", "return n\n"), prompt="def old_name(n):\n    r'''Say \\d.'''\n    x = n\n")

    assert perturb_problem(before, DOC_TO_COMMENTS, 0).prompt == "def old_name(n):\n    # Say \\d.\n    x = n\n"


def test_code_behind_a_docstring_keeps_it() -> None:
    """A comment would swallow what follows on the line."""
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
