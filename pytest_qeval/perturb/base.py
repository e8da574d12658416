"""A perturbation: a pure function of a problem and a source of randomness, with a statement of what it keeps.

Categories are those of ReCode (Wang et al., 2022, arXiv:2212.10264); the generators are our own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, get_args

from pytest_qeval.perturb.source import Source
from pytest_qeval.schema import Problem

Category = Literal["docstring", "function name", "syntax", "format"]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Level = Literal["character", "word", "sentence", "name", "syntax", "format"]
"""Size of the unit that changes."""
LEVELS: tuple[Level, ...] = get_args(Level)

Form = Literal["full", "half"]
"""Prompt that is perturbed. full: signature and docstring. half: the same with the first half of the solution."""

Apply = Callable[[Problem, random.Random], Problem]
"""Return the problem with a perturbed prompt, or the same problem where there is nothing to perturb.

Entry point, test and canonical solution change together with the prompt. The result depends on the arguments alone.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """One way to change a prompt: what the registry holds."""

    name: str
    category: Category
    level: Level
    summary: str
    """One line for `--qeval-list perturbations`: what changes, and how strongly."""
    invariant: str
    """What stays the same, in one sentence."""
    apply: Apply
    form: Form = "full"
    random: bool = True
    """Whether seeds differ; a perturbation that makes no choice has one seed."""
    versions: Mapping[int, Apply] = field(default_factory=dict)
    """Perturbed problems made in advance, by seed; `apply` is for all other seeds."""
    nominal: Callable[[Problem], Problem | None] | None = None
    """Return the half-given problem, where it is not that of `half_given`."""


def on_source(perturb: Callable[[Problem, Source, random.Random], Problem]) -> Apply:
    """Make a perturbation of a function that needs the parsed program; a problem without one is unchanged."""

    def apply(problem: Problem, rng: random.Random) -> Problem:
        source = Source.of(problem)
        return perturb(problem, source, rng) if source else problem

    return apply


def nominal_form(problem: Problem, perturbation: Perturbation) -> Problem | None:
    """Return the problem that is perturbed: as it is, or half-given; None where it has no half."""
    if perturbation.form == "full":
        return problem
    return (perturbation.nominal or half_given)(problem)


@lru_cache(maxsize=64)  # all code perturbations of one problem share its half
def half_given(problem: Problem) -> Problem | None:
    """Move the first half of the canonical solution's lines, rounded down, into the prompt.

    Blank lines count, as in ReCode; lines after the function do not. The prompt ends with a complete line, whose block
    or bracket may be open. None where the half holds no code: a body of one line, or one that begins with blank lines.
    """
    solution = problem.canonical_solution
    source = Source.of(problem)
    if source:
        end = source.next_line(source.end(source.function)) - source.cut
        solution = solution[:end] if solution[end:].strip() else solution
    lines = solution.splitlines(keepends=True)
    given = "".join(lines[: len(lines) // 2])
    if not given.strip():
        return None
    return replace(
        problem,
        prompt=problem.prompt + given,
        canonical_solution=problem.canonical_solution.removeprefix(given),
    )


def seeds_of(perturbation: Perturbation, wanted: int | None) -> Sequence[int]:
    """Return as many seeds of a perturbation as wanted; None means one, or every version made in advance."""
    if perturbation.versions:
        return sorted(perturbation.versions)[:wanted]
    return range((wanted or 1) if perturbation.random else 1)


def perturb_problem(problem: Problem, perturbation: Perturbation, seed: int) -> Problem:
    """Perturb a problem; the result depends on the problem, the perturbation and the seed alone."""
    rng = random.Random(f"{perturbation.name}/{problem.task_id}/{seed}")  # noqa: S311 - no cryptography
    return perturbation.versions.get(seed, perturbation.apply)(problem, rng)
