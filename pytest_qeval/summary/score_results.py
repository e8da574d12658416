"""What a session concludes about answers that are scored, frozen: means, and comparisons case by case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_qeval.schema import Evidence, Quantity

__all__ = ["ScoreChange", "ScoreComparison", "ScoreResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreResult:
    """One recipe on one benchmark whose answers are scored."""

    benchmark: str
    recipe: str
    cases: Mapping[str, Mapping[str, float]]
    """By label, in the plan's order: the scores, 0 to 1, each the mean over the case's samples."""
    empty: int
    """Cases of which no sample said anything."""
    missing: int
    """Planned cases without a record."""
    means: Mapping[str, Quantity]
    """By score: the mean over cases, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreChange:
    """One score of a candidate against the baseline's, over the cases that both finished."""

    delta: Quantity
    """Mean of candidate minus baseline, as a fraction."""
    relative_drop: Quantity
    """Lost share of the baseline's mean, as a fraction."""
    higher: int
    """Cases that the candidate scored higher on."""
    lower: int
    p: float
    """Two-sided, of a mean difference of 0, by changing signs."""
    p_adjusted: float
    """Benjamini-Hochberg over all candidates, benchmarks and scores of the run."""
    evidence: Evidence
    margin: float
    """The loss that the evidence is about, as a fraction."""
    detectable_drop: float | None
    """The smallest loss that so many cases could have proved not to be there, moving as much as they did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreComparison:
    """A candidate against the baseline on one benchmark whose answers are scored."""

    benchmark: str
    recipe: str
    baseline: str
    changes: Mapping[str, ScoreChange]
    """By score."""
