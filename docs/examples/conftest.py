"""A perturbation of your own: a stray comment above the function."""

from dataclasses import replace

from pytest_qeval.perturb.base import Perturbation

COMMENTS = ("# TODO: tidy up", "# see ticket 1432", "# -----------------")


def stray_comment(problem, rng):
    """Insert a comment above the function."""
    before, function, after = problem.prompt.rpartition(f"def {problem.entry_point}(")
    return replace(problem, prompt=f"{before}{rng.choice(COMMENTS)}\n{function}{after}")


def pytest_qeval_perturbations():
    """Return all perturbations; `--qeval-perturbation stray_comment` selects this one."""
    return [
        Perturbation(
            name="stray_comment",
            category="format",
            level="format",
            summary="a useless comment above the function",
            invariant="Code and docstring stay the same.",
            apply=stray_comment,
        )
    ]
