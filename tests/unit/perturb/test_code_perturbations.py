"""All perturbations of code on all problems: the same every time, never broken, and honest where nothing changes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from pytest_qeval import registry
from pytest_qeval.perturb.base import CATEGORIES, LEVELS, Perturbation, perturb_problem
from pytest_qeval.perturb.validity import check_perturbed
from tests.unit.perturb.builders import CODE_PERTURBATIONS, nominal_problems

BENCHMARKS = ("humaneval", "mbpp-function")

UNCHANGED = {
    # No line of the given half's own function is a statement that could be copied: heads of blocks, parts of
    # statements of several lines, imports; where the function begins with a nested one, only what binds nothing.
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
    # No local variable in the given half, but for those that f-strings mention and those that hide a builtin.
    "rename_variable_naive": (22, 63),
    "rename_variable_random": (22, 63),
    # Lines without a blank between two tokens.
    "split_lines": (0, 2),
    "tab_indent": (0, 0),
}
"""Of HumanEval (164 in full form, 126 in half form) and MBPP as functions (498 and 450), the same for three seeds."""


def _load(name: str) -> Perturbation:
    perturbation: Perturbation = registry.load("perturbations", name)
    return perturbation


@pytest.mark.parametrize("name", CODE_PERTURBATIONS)
def test_registered_under_its_own_name(name: str) -> None:
    """The list of perturbations can be trusted: names, categories and levels agree, summaries fit a line."""
    perturbation = _load(name)

    assert perturbation.name == name
    assert perturbation.category in CATEGORIES
    assert perturbation.level in LEVELS
    assert (perturbation.form == "full") == (perturbation.category == "function name")
    assert len(perturbation.summary) <= 100
    assert perturbation.invariant.endswith(".")


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize("name", CODE_PERTURBATIONS)
def test_never_invalid_and_unchanged_as_often_as_known(name: str, benchmark: str) -> None:
    """Whatever the seed, no question is broken, and the number of those left alone is the one that is known."""
    perturbation = _load(name)
    for seed in range(3 if perturbation.random else 1):
        proofs = {
            problem.task_id: check_perturbed(
                problem, perturb_problem(problem, perturbation, seed), category=perturbation.category
            )
            for problem in nominal_problems(benchmark, perturbation)
        }

        assert {task_id: proof for task_id, proof in proofs.items() if proof.status == "invalid"} == {}
        found = Counter(proof.status for proof in proofs.values())["unchanged"]
        assert found == UNCHANGED[name][BENCHMARKS.index(benchmark)]


@pytest.mark.parametrize("name", CODE_PERTURBATIONS)
def test_only_random_ones_differ_between_seeds(name: str) -> None:
    """A perturbation that says it makes no choice makes none; one that says it does gives several questions."""
    perturbation = _load(name)
    asked_for = nominal_problems("humaneval", perturbation)[:40]
    several = [len({perturb_problem(problem, perturbation, seed) for seed in range(4)}) for problem in asked_for]

    assert (max(several) > 1) is perturbation.random


def test_the_same_in_every_process() -> None:
    """Neither the order of sets nor anything else of a process leaks into a question."""
    digests = {seed: _digest_elsewhere(seed) for seed in ("0", "1", "4711")}

    assert set(digests.values()) == {_digest()}


def _digest() -> str:
    """Digest every seventh problem, perturbed in every way."""
    digest = hashlib.sha256()
    for name in CODE_PERTURBATIONS:
        perturbation = _load(name)
        for problem in nominal_problems("humaneval", perturbation)[::7]:
            digest.update(repr(perturb_problem(problem, perturbation, 1)).encode())
    return digest.hexdigest()


def _digest_elsewhere(hash_seed: str) -> str:
    command = f"from {__name__} import _digest; print(_digest())"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", command], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()
