"""Small problems to perturb, benchmarks to perturb, and a way to run a canonical solution."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval import registry
from pytest_qeval.perturb.base import Perturbation, nominal_form, perturb_problem
from pytest_qeval.schema import Problem

DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
needs_recode = pytest.mark.skipif(
    not (DATA / "recode").is_dir(),
    reason="ReCode's files are not part of this project: let QEVAL_TEST_DATA name a folder with recode/",
)

CODE_PERTURBATIONS = (
    "dead_code_first", "dead_code_last", "doc_to_comments", "for_while", "name_butter_fingers", "name_camel_case",
    "name_change_case", "name_inflection", "name_swap_characters", "name_synonym", "new_line_after_code",
    "new_line_after_doc", "new_lines", "operand_swap", "rename_variable_naive", "rename_variable_random",
    "split_lines", "tab_indent",
)  # fmt: skip


def problem(given: str, rest: str = "", *, signature: str = "def old_name(n):", test: str = "") -> Problem:
    """Make a problem whose function has a docstring, a given half and a rest, all written without indentation."""
    docstring = '"""Compute.\n\n>>> old_name(1)\n1\n"""\n'
    return Problem(
        benchmark="made up",
        task_id="made up/0",
        prompt=f"{signature}\n{textwrap.indent(docstring + given, '    ')}",
        entry_point="old_name",
        test=test or "def check(candidate):\n    assert candidate(1) == 1\n",
        canonical_solution=textwrap.indent(rest, "    "),
    )


def function_named(name: str) -> Problem:
    """Make a problem whose function returns its argument."""
    made = problem("", "return n\n")
    return replace(made, prompt=made.prompt.replace("old_name", name), entry_point=name)


def perturb_sentence(sentence: str, name: str, seed: int = 0, *, parameters: str = "") -> str:
    """Return a docstring of one sentence after a perturbation."""
    before, after = f'def f({parameters}):\n    """', '"""\n'
    made = replace(problem(""), prompt=f"{before}{sentence}{after}", entry_point="f")
    found = perturb_problem(made, registry.load("perturbations", name), seed)
    return found.prompt.removeprefix(before).removesuffix(after)


def source_of(problem: Problem) -> str:
    """Return prompt and canonical solution."""
    return problem.prompt + problem.canonical_solution


def run_solution(problem: Problem, *arguments: object) -> Any:
    """Call the function with its canonical solution."""
    namespace: dict[str, Any] = {}
    exec(source_of(problem), namespace)  # noqa: S102 - written above or in the test
    return namespace[problem.entry_point](*arguments)


@cache
def problems(benchmark: str) -> Sequence[Problem]:
    """Read a benchmark, or skip the test where its data are missing."""
    if benchmark != "humaneval" and not (DATA / "mbpp.jsonl").is_file():
        pytest.skip("MBPP's data is not part of this project: let QEVAL_TEST_DATA name a folder with mbpp.jsonl")
    return tuple(registry.load("benchmarks", benchmark).load(DATA if DATA.is_dir() else None).problems.values())


def nominal_problems(benchmark: str, perturbation: Perturbation) -> Sequence[Problem]:
    """Return the problems of a benchmark in the form that a perturbation takes."""
    return [form for problem in problems(benchmark) if (form := nominal_form(problem, perturbation))]
