"""All registered perturbations: their entries, which problems they leave unchanged, seeds and processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from pytest_qeval import registry
from pytest_qeval.perturb.base import CATEGORIES, LEVELS, Perturbation, perturb_problem
from pytest_qeval.perturb.perturbed_problems import perturb_problems
from tests.unit.perturb.builders import nominal_problems, problems

UNCHANGED: Mapping[str, tuple[int, int]] = {
    # HumanEval/59 and seven problems of MBPP: one line with a formula, an operator or quotes that are not closed.
    **dict.fromkeys(("butter_fingers", "change_case", "swap_characters", "whitespace"), (1, 7)),
    # Docstrings of technical terms only, such as "Return length of given string".
    **dict.fromkeys(("synonym_insertion", "synonym_substitution"), (38, 8)),
    "inflection": (3, 7),
    "tense_future": (5, 8),
    "tense_past": (4, 8),
    # No statement of the given half's own function can be copied: heads of blocks, parts of statements of several
    # lines, imports; where the function begins with a nested one, only what binds nothing.
    "dead_code_first": (17, 23),
    "dead_code_last": (13, 23),
    "doc_to_comments": (0, 0),
    # No loop in the given half, but for comprehensions and loops on one line; in MBPP twice a variable `next`.
    "for_while": (53, 259),
    "name_butter_fingers": (0, 0),
    # One word: `longest` has no other style.
    "name_camel_case": (37, 30),
    "name_change_case": (0, 0),
    # Words that no dictionary has (`iscube`), that have one form (`below`), or whose other form is in the text.
    "name_inflection": (13, 32),
    # One letter: HumanEval/106 is called `f`.
    "name_swap_characters": (1, 0),
    # Most words of names are terms, or have no synonym that would mean the same everywhere.
    "name_synonym": (135, 364),
    "new_line_after_code": (0, 0),
    "new_line_after_doc": (0, 0),
    "new_lines": (0, 0),
    # No comparison of two operands in the given half, or one whose order of evaluation might matter.
    "operand_swap": (54, 294),
    # No local variable in the given half, but for those in f-strings and those that hide a builtin.
    "rename_variable_naive": (22, 63),
    "rename_variable_random": (22, 63),
    # Lines without a blank between two tokens.
    "split_lines": (0, 2),
    "tab_indent": (0, 0),
}
"""Of HumanEval (164 full, 126 half-given) and MBPP as functions (498 and 450), the same for each of three seeds."""


def load(name: str) -> Perturbation:
    if "inflection" in name or "tense" in name:
        pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    perturbation: Perturbation = registry.load("perturbations", name)
    return perturbation


def test_every_perturbation_is_listed() -> None:
    assert sorted(UNCHANGED) == registry.names("perturbations")


@pytest.mark.parametrize("name", UNCHANGED)
def test_registered_under_its_own_name(name: str) -> None:
    """Names, categories and levels agree, and summaries fit a line."""
    perturbation = load(name)

    assert perturbation.name == name
    assert perturbation.category in CATEGORIES
    assert perturbation.level in LEVELS
    assert (perturbation.form == "half") == (perturbation.category in {"syntax", "format"})
    assert len(perturbation.summary) <= 120
    assert perturbation.invariant.endswith(".")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Perturb with one seed, and with three only where `-m` mentions golden, so that no other run collects it."""
    if "seeds" in metafunc.fixturenames:
        seeds = [pytest.param(1, id="sample")]
        if "golden" in metafunc.config.getoption("markexpr"):
            seeds.append(pytest.param(3, id="all", marks=pytest.mark.golden))
        metafunc.parametrize("seeds", seeds)


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp-function"])
@pytest.mark.parametrize("name", UNCHANGED)
def test_never_invalid_and_unchanged_as_often_as_known(name: str, benchmark: str, seeds: int) -> None:
    """Every problem is perturbed, but for those without anything to perturb, which are the same for every seed."""
    perturbation = load(name)
    found = perturb_problems(problems(benchmark), [perturbation], seeds=seeds).of[name]
    no_half = len(problems(benchmark)) - len(nominal_problems(benchmark, perturbation))
    expected = UNCHANGED[name][benchmark != "humaneval"] + no_half

    assert (found.invalid, dict(found.reasons)) == (0, {})
    assert found.unchanged == expected * found.seeds


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_seed_breaks_a_problem(name: str) -> None:
    """A sample of each benchmark: whether a problem can be perturbed does not depend on the seed."""
    perturbation = load(name)
    for benchmark in ("humaneval", "mbpp-function"):
        some = problems(benchmark)[::12]
        once, found = (perturb_problems(some, [perturbation], seeds=seeds).of[name] for seeds in (1, 3))

        assert (found.invalid, dict(found.reasons)) == (0, {})
        assert found.unchanged == once.unchanged * found.seeds


@pytest.mark.parametrize("name", UNCHANGED)
def test_only_random_perturbations_differ_between_seeds(name: str) -> None:
    perturbation = load(name)
    nominal = nominal_problems("humaneval", perturbation)[:30]
    several = [len({perturb_problem(problem, perturbation, seed) for seed in range(4)}) for problem in nominal]

    assert (max(several) > 1) is perturbation.random


def digest(names: Sequence[str]) -> str:
    """Return one checksum over every twentieth problem, perturbed in every way."""
    found = hashlib.sha256()
    for name in names:
        perturbation = load(name)
        for problem in nominal_problems("humaneval", perturbation)[::20]:
            found.update(repr(perturb_problem(problem, perturbation, 1)).encode())
    return found.hexdigest()


def test_the_same_in_every_process() -> None:
    """No order of sets and no other state of a process changes a perturbed problem: workers and plan agree."""
    pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    names = [*UNCHANGED]
    command = f"from {__name__} import digest; print(digest({names}))"
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    done = subprocess.run([sys.executable, "-c", command], env=environment, check=True, capture_output=True, text=True)

    assert done.stdout.strip() == digest(names)
