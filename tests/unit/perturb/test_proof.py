"""What can be said about a perturbed problem without running it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pytest_qeval.perturb.proof import Proof, prove
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import problem

_ORIGINAL = problem("x = n\n", "return x\n", test="def check(candidate):\n    assert candidate(1) == old_name(1)\n")


def _with_prompt(old: str, new: str) -> Problem:
    assert old in _ORIGINAL.prompt
    return replace(_ORIGINAL, prompt=_ORIGINAL.prompt.replace(old, new))


def test_applied() -> None:
    """Another text, the same function."""
    assert prove(_ORIGINAL, _with_prompt("Answer", "Reply")) == Proof(status="applied")


@pytest.mark.parametrize("end", ["\r\n", "\f\n"])
def test_other_line_ends_are_called_so(end: str) -> None:
    """They compile, so that nobody has to look for a fault in the code."""
    original = replace(_ORIGINAL, prompt=_ORIGINAL.prompt.replace("\n", end))
    proof = prove(original, replace(original, prompt=original.prompt.replace("Answer", "Reply")))

    assert proof == Proof(
        status="invalid", reason=r"the original has carriage returns or form feeds: end its lines with \n alone"
    )


def test_the_same_prompt_is_unchanged() -> None:
    """Whatever was done to the solution: the model is asked the same."""
    changed = replace(_ORIGINAL, canonical_solution="    return n\n")

    assert prove(_ORIGINAL, changed) == Proof(status="unchanged", reason="the prompt is the same")


def test_new_formatting_is_no_new_syntax() -> None:
    """ReCode counts 56 such prompts of 127 as rewritten loops."""
    changed = _with_prompt("x = n", "x  =  n")

    assert prove(_ORIGINAL, changed, category="syntax").status == "unchanged"
    assert prove(_ORIGINAL, changed, category="format").status == "applied"


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
        (replace(_with_prompt("Answer", "Reply"), test="def check(candidate:\n"), "test does not compile"),
    ],
)  # fmt: skip
def test_invalid(changed: Problem, reason: str) -> None:
    """A broken question is found, and the reason says how it is broken."""
    proof = prove(_ORIGINAL, changed)

    assert proof.status == "invalid"
    assert re.search(reason, proof.reason)


def test_a_broken_original_proves_nothing() -> None:
    """The fault is not the perturbation's, and the reason says so."""
    broken = replace(_ORIGINAL, canonical_solution="    return (\n")

    assert prove(broken, replace(broken, prompt=broken.prompt + "\n")).reason.startswith("the original")
