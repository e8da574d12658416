"""P-values corrected for how many comparisons there are (Benjamini-Hochberg)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_qeval.stats.paired import adjusted
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robustness import ALL
from pytest_qeval.summary.scores import ScoreComparison


def adjust_pass_rates_and_scores(
    comparisons: Sequence[Comparison], scores: Sequence[ScoreComparison], *, control: str | None
) -> tuple[tuple[Comparison, ...], tuple[ScoreComparison, ...]]:
    """Correct for the number of candidates, benchmarks and scores together; a control is not a candidate."""
    p = {("", one.benchmark, one.recipe): one.mcnemar_p for one in comparisons if one.recipe != control}
    p |= {
        (name, one.benchmark, one.recipe): change.p
        for one in scores
        if one.recipe != control
        for name, change in one.changes.items()
    }
    corrected = dict(zip(p, adjusted(list(p.values())), strict=True))
    return (
        tuple(
            replace(one, mcnemar_p_adjusted=corrected.get(("", one.benchmark, one.recipe), one.mcnemar_p))
            for one in comparisons
        ),
        tuple(
            replace(
                one,
                changes={
                    name: replace(change, p_adjusted=corrected.get((name, one.benchmark, one.recipe), change.p))
                    for name, change in one.changes.items()
                },
            )
            for one in scores
        ),
    )


def adjust_robust_changes(
    changes: Sequence[RobustChange], single: set[str], *, control: str | None
) -> tuple[RobustChange, ...]:
    """Correct for the number of `single` perturbations, and for the number of categories; `all` is one test."""
    corrected: dict[tuple[str, str, str], float] = {}
    for family in (single, {one.scope for one in changes} - single - {ALL}, {ALL}):
        p = {
            (one.benchmark, one.recipe, one.scope): one.mcnemar_p
            for one in changes
            if one.scope in family and one.recipe != control
        }
        corrected |= dict(zip(p, adjusted(list(p.values())), strict=True))
    return tuple(
        replace(one, mcnemar_p_adjusted=corrected.get((one.benchmark, one.recipe, one.scope), one.mcnemar_p))
        for one in changes
    )
