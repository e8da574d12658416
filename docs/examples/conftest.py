"""A perturbation of your own: a stray comment above the function."""

from dataclasses import replace

from pytest_qeval.perturb.base import Perturbation

COMMENTS = ("# TODO: tidy up", "# see ticket 1432", "# -----------------")


def stray_comment(problem, rng):
    """Put a comment above the function that the prompt begins."""
    before, function, after = problem.prompt.rpartition(f"def {problem.entry_point}(")
    return replace(problem, prompt=f"{before}{rng.choice(COMMENTS)}\n{function}{after}")


def pytest_qeval_perturbations():
    """Return them all; `--qeval-perturbation stray_comment` finds this one."""
    return [
        Perturbation(
            name="stray_comment",
            category="format",
            level="format",
            summary="a comment of no use stands above the function",
            invariant="Code and docstring stay as they are.",
            apply=stray_comment,
        )
    ]
