"""What a perturbation is: a pure function of a problem and a source of randomness, with what it promises to keep.

Categories are those of ReCode (Wang et al., 2022, arXiv:2212.10264); the generators are our own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_qeval.schema import Problem

__all__ = ["CATEGORIES", "LEVELS", "Category", "Form", "Level", "Perturbation", "perturbed"]

Category = Literal["docstring", "function name", "syntax", "format"]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Level = Literal["character", "word", "sentence", "name", "syntax", "format"]
"""How large the unit is that changes."""
LEVELS: tuple[Level, ...] = get_args(Level)

Form = Literal["full", "half"]
"""Which prompt is disturbed. full: signature and docstring. half: the same with the first half of the solution."""


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
    apply: Callable[[Problem, random.Random], Problem]
    """Give the problem with a disturbed prompt, or the very same where there is nothing to disturb.

    What goes with the prompt (entry point, test, canonical solution) is changed along with it. Nothing but the
    arguments counts.
    """
    form: Form = "full"
    random: bool = True
    """Whether seeds differ; a perturbation that makes no choice is asked once."""


def perturbed(problem: Problem, perturbation: Perturbation, seed: int) -> Problem:
    """Disturb a problem; the same for the same problem, perturbation and seed, whatever else is disturbed."""
    rng = random.Random(f"{perturbation.name}/{problem.task_id}/{seed}")  # noqa: S311 - no cryptography
    return perturbation.apply(problem, rng)
