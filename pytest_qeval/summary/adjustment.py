"""P-values corrected for how many comparisons there are (Benjamini-Hochberg)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_qeval.stats.paired import adjusted
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.pooled import PooledComparison
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robustness import ALL
from pytest_qeval.summary.scores import ScoreComparison


def adjust_pass_rates_and_scores(
    comparisons: Sequence[Comparison], scores: Sequence[ScoreComparison], *, control: str | None
) -> tuple[tuple[Comparison, ...], tuple[ScoreComparison, ...]]:
    """Correct for the number of candidates, benchmarks and scores together; a control is not a candidate.

    What has no p-value, after an early stop, does not count.
    """
    pairs = ((("", one.benchmark, one.recipe), one.mcnemar_p) for one in comparisons)
    p = {key: value for key, value in pairs if value is not None}
    p |= {(name, one.benchmark, one.recipe): change.p for one in scores for name, change in one.changes.items()}
    p = _corrected(p, control)

    def of(one: ScoreComparison) -> ScoreComparison:
        changes = one.changes.items()
        corrected = {name: replace(it, p_adjusted=p[name, one.benchmark, one.recipe]) for name, it in changes}
        return replace(one, changes=corrected)

    return (
        tuple(replace(one, mcnemar_p_adjusted=p.get(("", one.benchmark, one.recipe))) for one in comparisons),
        tuple(map(of, scores)),
    )


def adjust_pools(pools: Sequence[PooledComparison], *, control: str | None) -> tuple[PooledComparison, ...]:
    """Correct for the number of candidates: each pool is one question about its candidate."""
    p = _corrected({("", "", one.recipe): one.p for one in pools}, control)
    return tuple(replace(one, p_adjusted=p["", "", one.recipe]) for one in pools)


def adjust_robust_changes(
    changes: Sequence[RobustChange], single: set[str], *, control: str | None
) -> tuple[RobustChange, ...]:
    """Correct for the number of `single` perturbations, and for the number of categories; `all` is one test."""
    p: dict[tuple[str, str, str], float] = {}
    for family in (single, {one.scope for one in changes} - single - {ALL}, {ALL}):
        own = {(one.scope, one.benchmark, one.recipe): one.mcnemar_p for one in changes if one.scope in family}
        p |= _corrected(own, control)
    return tuple(replace(one, mcnemar_p_adjusted=p[one.scope, one.benchmark, one.recipe]) for one in changes)


def _corrected(p: Mapping[tuple[str, str, str], float], control: str | None) -> dict[tuple[str, str, str], float]:
    """Return p-values, whose keys end with the recipe, corrected together; those of the control stay."""
    candidates = {key: value for key, value in p.items() if key[-1] != control}
    return {**p, **dict(zip(candidates, adjusted(list(candidates.values())), strict=True))}
