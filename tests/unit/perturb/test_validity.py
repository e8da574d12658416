"""The static check of a perturbed problem."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pytest_qeval.perturb.validity import Validity, check_perturbed
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import problem

_ORIGINAL = problem("x = n\n", "return x\n", test="def check(candidate):\n    assert candidate(1) == old_name(1)\n")


def _with_prompt(old: str, new: str) -> Problem:
    assert old in _ORIGINAL.prompt
    return replace(_ORIGINAL, prompt=_ORIGINAL.prompt.replace(old, new))


def test_applied() -> None:
    """Another docstring, the same function."""
    assert check_perturbed(_ORIGINAL, _with_prompt("Compute", "Calculate")) == Validity(status="applied")


@pytest.mark.parametrize("end", ["\r\n", "\f\n"])
def test_other_line_ends_are_the_reason(end: str) -> None:
    """The program compiles, so the reason names the line ends."""
    original = replace(_ORIGINAL, prompt=_ORIGINAL.prompt.replace("\n", end))
    validity = check_perturbed(original, replace(original, prompt=original.prompt.replace("Compute", "Calculate")))

    assert validity == Validity(
        status="invalid", reason=r"the original has carriage returns or form feeds: end its lines with \n alone"
    )


def test_the_same_prompt_is_unchanged() -> None:
    """Whatever became of the solution: the model gets the same prompt."""
    changed = replace(_ORIGINAL, canonical_solution="    return n\n")

    assert check_perturbed(_ORIGINAL, changed) == Validity(status="unchanged", reason="the prompt is the same")


def test_new_formatting_is_no_new_syntax() -> None:
    """56 of the 127 loops that ReCode counts as rewritten differ in formatting alone."""
    changed = _with_prompt("x = n", "x  =  n")

    assert check_perturbed(_ORIGINAL, changed, category="syntax").status == "unchanged"
    assert check_perturbed(_ORIGINAL, changed, category="format").status == "applied"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (_with_prompt('1\n    """', '1\n    " " "'), "do not compile"),
        (_with_prompt("    x = n", "return 1\nx = n"), "do not compile"),
        (_with_prompt("def old_name", "def fresh"), "do not define 'old_name'"),
        (_with_prompt("(n)", "(m)"), r"parameters are \(m\) instead of \(n\)"),
        (_with_prompt("(n)", "(*n)"), r"parameters are \(\*n\) instead of \(n\)"),
        (replace(_with_prompt("def old_name", "def fresh"), entry_point="fresh"), "names 'old_name', but not 'fresh'"),
        (
            replace(
                _with_prompt("def old_name", "def fresh"),
                entry_point="fresh",
                test="def check(candidate):\n    assert fresh(1) == old_name(1)\n",
            ),
            "still names 'old_name'",
        ),
        (replace(_with_prompt("Compute", "Calculate"), test="def check(candidate:\n"), "test does not compile"),
    ],
)  # fmt: skip
def test_invalid(changed: Problem, reason: str) -> None:
    """A broken problem is found, and the reason says how it is broken."""
    validity = check_perturbed(_ORIGINAL, changed)

    assert validity.status == "invalid"
    assert re.search(reason, validity.reason)


def test_a_broken_nominal_problem_is_the_reason() -> None:
    """The fault is not the perturbation's."""
    broken = replace(_ORIGINAL, canonical_solution="    return (\n")

    assert check_perturbed(broken, replace(broken, prompt=broken.prompt + "\n")).reason.startswith("the original")
