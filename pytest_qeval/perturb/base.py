"""What a perturbation is: a pure function of a problem and a source of randomness, with what it promises to keep.

Categories are those of ReCode (Wang et al., 2022, arXiv:2212.10264); the generators are our own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from pytest_qeval.perturb.halves import half_given
from pytest_qeval.schema import Problem

__all__ = [
    "CATEGORIES",
    "LEVELS",
    "Apply",
    "Category",
    "Form",
    "Level",
    "Perturbation",
    "nominal_form",
    "perturb_problem",
    "seeds_of",
]

Category = Literal["docstring", "function name", "syntax", "format"]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Level = Literal["character", "word", "sentence", "name", "syntax", "format"]
"""How large the unit is that changes."""
LEVELS: tuple[Level, ...] = get_args(Level)

Form = Literal["full", "half"]
"""Which prompt is perturbed. full: signature and docstring. half: the same with the first half of the solution."""

Apply = Callable[[Problem, random.Random], Problem]
"""Gives the problem with a perturbed prompt, or the very same where there is nothing to perturb.

What goes with the prompt (entry point, test, canonical solution) is changed along with it. Nothing but the arguments
counts.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """One way to ask the same question otherwise: what the registry holds."""

    name: str
    category: Category
    level: Level
    summary: str
    """One line for `--qeval-list perturbations`: what changes, and how strongly."""
    invariant: str
    """What stays as it is, in one sentence."""
    apply: Apply
    form: Form = "full"
    random: bool = True
    """Whether seeds differ; a perturbation that makes no choice is asked once."""
    versions: Mapping[int, Apply] = field(default_factory=dict)
    """By seed, where somebody made the questions before; `apply` is for the seeds of others."""
    nominal: Callable[[Problem], Problem | None] | None = None
    """What gives half of a solution away, where that is not our `half_given`."""


def nominal_form(problem: Problem, perturbation: Perturbation) -> Problem | None:
    """Return what a perturbation perturbs: the problem, or half-given; None where it has no half."""
    if perturbation.form == "full":
        return problem
    return (perturbation.nominal or half_given)(problem)


def seeds_of(perturbation: Perturbation, wanted: int | None) -> Sequence[int]:
    """Return the seeds that a perturbation is asked with.

    Args:
        perturbation: Which.
        wanted: How many; None is one, or every version that was made before.
    """
    if perturbation.versions:
        return sorted(perturbation.versions)[:wanted]
    return range((wanted or 1) if perturbation.random else 1)


def perturb_problem(problem: Problem, perturbation: Perturbation, seed: int) -> Problem:
    """Perturb a problem; the same for the same problem, perturbation and seed, whatever else is perturbed."""
    rng = random.Random(f"{perturbation.name}/{problem.task_id}/{seed}")  # noqa: S311 - no cryptography
    return perturbation.versions.get(seed, perturbation.apply)(problem, rng)
