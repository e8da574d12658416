"""Docstring perturbations change prose alone: on micro and HumanEval, and on all benchmarks nightly."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_qeval import registry
from pytest_qeval.perturb.base import Perturbation, perturb_problem
from pytest_qeval.perturb.docstring.prose import find_prose
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import problems

CHARACTERS = ("butter_fingers", "change_case", "swap_characters", "whitespace")
SYNONYMS = ("synonym_insertion", "synonym_substitution")
INFLECTED = ("inflection", "tense_future", "tense_past")
NAMES = (*CHARACTERS, *SYNONYMS, *INFLECTED)
_SPAN = "[A-Za-z ,;'-]+?"


@pytest.fixture(scope="module", params=NAMES)
def perturbation(request: pytest.FixtureRequest) -> Perturbation:
    if request.param in INFLECTED:
        pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    found: Perturbation = registry.load("perturbations", request.param)
    return found


def same_but_prose(problem: Problem) -> re.Pattern[str]:
    """Return a pattern of prompts that are the same, byte by byte, outside the prose, with plain words in between."""
    parts, last = [], 0
    for start, stop in find_prose(problem.prompt, problem.entry_point).spans:
        parts.append(re.escape(problem.prompt[last:start]))
        last = stop
    return re.compile(_SPAN.join([*parts, re.escape(problem.prompt[last:])]))


def skeleton(problem: Problem) -> object:
    """Return what has to stay: all code, the examples of the docstring, and everything in it that is no word."""
    tree = ast.parse(problem.prompt)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point]
    docstring = next(
        node.value
        for node in functions[-1].body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    text, docstring.value = str(docstring.value), ""
    lines = text.split("\n")
    doctests = [
        list(takewhile(str.strip, lines[number:])) for number, line in enumerate(lines) if line.lstrip()[:3] == ">>>"
    ]
    calls = [line for line in lines if f"{problem.entry_point}(" in line.replace(f"{problem.entry_point}()", "")]
    names = {problem.entry_point, *(argument.arg for argument in functions[-1].args.args)}
    mentions = {name: len(re.findall(rf"\b{re.escape(name)}\b", text)) for name in names}
    return ast.dump(tree), doctests, calls, mentions, len(lines), re.findall(r"[^\sA-Za-z,;'-]+|\w*_\w*", text)


def check(nominal: Problem, perturbation: Perturbation, seeds: Iterable[int] = (0,)) -> None:
    """Compare with the prose masked; and independently compare code, examples, names and all that is no word."""
    same, before = same_but_prose(nominal), skeleton(nominal)
    for found in {perturb_problem(nominal, perturbation, seed) for seed in seeds}:
        assert replace(found, prompt=nominal.prompt) == nominal  # entry point, test and solution stay
        assert same.fullmatch(found.prompt), nominal.task_id
        assert skeleton(found) == before, nominal.task_id
        compile(found.prompt + found.canonical_solution, nominal.task_id, "exec")


def test_nothing_but_prose_changes(perturbation: Perturbation) -> None:
    """On a sample; the docstring stays closed, so that the canonical solution still continues the prompt."""
    for nominal in [*problems("micro")[::6], *problems("humaneval")[::4]]:
        check(nominal, perturbation)


@pytest.mark.golden
@pytest.mark.parametrize("benchmark", ["humaneval", "micro", "mbpp-function"])
def test_nothing_but_prose_changes_in_any_problem(benchmark: str, perturbation: Perturbation) -> None:
    """With three seeds."""
    for nominal in problems(benchmark):
        check(nominal, perturbation, range(3))


PIECES = (
    "Return the largest elements of items is takes a string and Check whether",
    "x = 1", ">>> f(1)", "\n    ", "\n\n    ", "Example:", "'quoted words'", '"', "(some more words)", ".", ",", "\\n",
    "\\\\", "don't", "non-empty", "é", "[1, 2]", "- ", "True", "count_up",
)  # fmt: skip
DOCSTRING = st.lists(st.sampled_from([*PIECES[0].split(), *PIECES[1:]]), max_size=40).map(" ".join)


@settings(max_examples=60)
@given(docstring=DOCSTRING, name=st.sampled_from(NAMES), seed=st.integers(0, 3))
def test_no_docstring_breaks(docstring: str, name: str, seed: int) -> None:
    """Any docstring stays closed, and only its prose changes."""
    assume(name not in INFLECTED or "lemminflect" in sys.modules or pytest.importorskip("lemminflect"))
    problem = Problem(
        benchmark="b",
        task_id="b/0",
        prompt=f"def f(items):\n    ''' {docstring} '''\n",
        entry_point="f",
        test="",
        canonical_solution="    return items\n",
    )
    found = perturb_problem(problem, registry.load("perturbations", name), seed)

    assert same_but_prose(problem).fullmatch(found.prompt)
    assert skeleton(found) == skeleton(problem)
