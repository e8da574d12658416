"""What a session concludes about perturbed problems, frozen: how brittle each recipe is, and whether one is more so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_qeval.schema import Evidence, Quantity
from pytest_qeval.stats.robustness import RobustnessMeans

__all__ = ["ALL", "BrokenExample", "RobustChange", "RobustResult"]

ALL = "all"
"""Scope of everything that was perturbed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustResult:
    """One recipe on one benchmark under one scope: a perturbation, a category of them, or all."""

    benchmark: str
    recipe: str
    scope: str
    perturbations: tuple[str, ...]
    """Those that the scope holds."""
    problems: int
    """Problems that were asked nominal and perturbed."""
    asked: int
    """Perturbed cases that were planned; more were made where some were deselected."""
    unpaired: int
    """Perturbed answers that say nothing: the nominal case was not planned, or has another number of samples."""
    missing: int
    """Planned cases of the scope without a record."""
    means: Mapping[int, RobustnessMeans]
    """By k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenExample:
    """A perturbed case that the baseline solves and the candidate does not, though both solve it nominal."""

    case: str
    """Its label."""
    reason: str
    """Why the candidate's answer did not pass."""
    prompt_diff: str
    """Unified diff of the nominal prompt to the perturbed one."""
    completion_diff: str
    """Unified diff of the candidate's nominal answer to the one that did not pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustChange:
    """A candidate against the baseline under one scope, over the cases that both finished."""

    benchmark: str
    recipe: str
    baseline: str
    scope: str
    increase: Quantity
    """Candidate minus baseline robust drop@1, as a fraction."""
    delta: Quantity
    """Candidate minus baseline robust pass@1, as a fraction."""
    broken: tuple[str, ...]
    """Task ids that the candidate loses when they are perturbed, and the baseline does not."""
    mended: tuple[str, ...]
    """Task ids that the baseline loses when they are perturbed, and the candidate does not."""
    p: float
    """Exact McNemar test on who loses a problem that both solve nominal."""
    p_adjusted: float
    """Benjamini-Hochberg over all candidates, benchmarks and single perturbations, or over all categories."""
    evidence: Evidence
    margin: float
    """The increase of the robust drop that the evidence is about, as a fraction."""
    examples: tuple[BrokenExample, ...] = ()
    """One of each of the problems that broke under most perturbations, at most three."""
