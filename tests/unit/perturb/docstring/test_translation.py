"""Translated docstrings are read from a file, and used only where they keep code, examples, names and values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.docstring.translation import (
    TRANSLATIONS_FILE,
    Translation,
    back_translation,
    read_translations,
)
from pytest_qeval.perturb.task_rows import read_rows
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import DATA, needs_recode, problems

PROMPT = '''import math


def f(items, n):
    """Return the n largest of items, but 2 at least,
    or "none" if there are too few.

    >>> f([1], 1)
    "none"
    """
'''
GOOD = PROMPT.replace(
    "Return the n largest of items, but 2 at least,", "Give back the n biggest of items, not below 2,"
)
PROBLEM = Problem(
    benchmark="b", task_id="b/0", prompt=PROMPT, entry_point="f", test="", canonical_solution="    return 1\n"
)


def perturb(translation: Translation) -> str:
    return perturb_problem(PROBLEM, back_translation({"b/0": translation}), 0).prompt


def test_a_row_has_a_prompt_or_a_docstring() -> None:
    """Both make the same perturbed problem."""
    docstring = GOOD.split('"""', 1)[1].rsplit('"""', 1)[0]

    assert perturb(Translation(task_id="b/0", prompt=GOOD)) == GOOD
    assert perturb(Translation(task_id="b/0", docstring=docstring)) == GOOD


@pytest.mark.parametrize(
    "prompt",
    [
        GOOD.replace('    """\n', '    " " "\n'),
        GOOD.replace("import math", "import maths"),
        GOOD.replace("def f(items, n)", "def f(items, m)"),
        GOOD.replace(">>> f([1], 1)", ">>> f ([1], 1)"),
        GOOD.replace('\n    "none"\n', '\n    "nothing"\n'),
        GOOD.replace("below 2", "below two"),
        GOOD.replace("of items", "of things"),
        GOOD.replace('or "none"', "or nothing"),
    ],
    ids=["quotes", "import", "parameter", "example", "output", "number", "name", "quoted"],
)
def test_a_translation_that_loses_something_is_ignored(prompt: str) -> None:
    """The problem counts as unchanged."""
    assert prompt != GOOD
    assert perturb(Translation(task_id="b/0", prompt=prompt)) == PROMPT


def test_other_problems_stay() -> None:
    """The file need not have a row for every problem."""
    assert perturb_problem(PROBLEM, back_translation({}), 0) is PROBLEM


def test_the_file_is_read(tmp_path: Path) -> None:
    """One object a line; further fields, as in ReCode's files, are ignored."""
    rows = [{"task_id": "a/1", "docstring": "x"}, {"task_id": "a/2", "prompt": "y", "test": "z", "seed": 0}]
    tmp_path.joinpath(TRANSLATIONS_FILE).write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")

    assert read_translations(tmp_path) == {
        "a/1": Translation(task_id="a/1", docstring="x"),
        "a/2": Translation(task_id="a/2", prompt="y"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, f"there is no {TRANSLATIONS_FILE} in .*: docs/robustness.md says how to make it"),
        ("{", r"line 1: Input data was truncated\. Expected an object with task_id, docstring, prompt\."),
        ("[]", "line 1: Expected `object`, got `array`"),
        ('{"task_id": "a"}', "line 1: one of docstring and prompt has to be there"),
        ('{"task_id": "a", "prompt": "p", "docstring": "d"}', "line 1: one of docstring and prompt"),
        ('{"task_id": "a", "prompt": 1}', "line 1: Expected `str"),
        ('{"task_id": "a", "prompt": "\udcff"}', "line 1: "),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    """The error has the path, the line, and what was expected."""
    if text is not None:
        tmp_path.joinpath(TRANSLATIONS_FILE).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        read_translations(tmp_path)


@needs_recode
def test_recodes_broken_rows_are_ignored() -> None:
    """ReCode's file leaves 28 docstrings of HumanEval open; the perturbed problems have theirs closed."""
    path = DATA / "recode" / "humaneval_s0" / "nlaugmenter" / "humaneval_BackTranslation_s0.jsonl.gz"
    perturbation = back_translation(read_rows(path, Translation))
    nominal = problems("humaneval")
    perturbed = [found for problem in nominal if (found := perturb_problem(problem, perturbation, 0)) != problem]

    assert len(perturbed) > 0
    for problem in perturbed:
        compile(problem.prompt + problem.canonical_solution, problem.task_id, "exec")
