"""Answers that are scored: means of each recipe, and differences from the baseline case by case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from pytest_qeval.schema import SCORES, Case, Json, Quantity, Record, Undefined
from pytest_qeval.stats.paired import evidence_of, paired_mean
from pytest_qeval.stats.scores import detectable_score_drop, mean_score, sign_flip_p
from pytest_qeval.summary.score_results import ScoreChange, ScoreComparison, ScoreResult

__all__ = ["SCORE_MARGIN", "adjust_changes", "compare_scores", "is_scored", "score_results"]

SCORE_MARGIN = 0.01
"""The loss of a mean score that a comparison's evidence is about where no gate names one: 1 point."""

_SAYS_NOTHING = sha256(b"").hexdigest()

_Found = Mapping[tuple[str, Case], Record]
_Groups = Mapping[tuple[str, str], Sequence[Case]]
"""Planned cases by benchmark and recipe."""


def is_scored(benchmark: str, benchmarks: Mapping[str, Json], found: _Found) -> bool:
    """Return whether a benchmark's answers are scored, from what was told about it or from any of its records."""
    told = benchmarks.get(benchmark, {}).get("scored", False)
    return bool(told) or any(case.benchmark == benchmark and r.outcome == "scored" for (_, case), r in found.items())


def score_results(groups: _Groups, found: _Found) -> tuple[ScoreResult, ...]:
    """Conclude for every benchmark and recipe."""
    return tuple(_result(*key, cases, found) for key, cases in groups.items())


def _result(benchmark: str, recipe: str, cases: Sequence[Case], found: _Found) -> ScoreResult:
    records = [found[recipe, case] for case in cases if (recipe, case) in found]
    return ScoreResult(
        benchmark=benchmark,
        recipe=recipe,
        cases={record.case.label: {name: record.measurements[name] for name in SCORES} for record in records},
        empty=sum(all(sample.program_sha256 == _SAYS_NOTHING for sample in record.samples) for record in records),
        missing=len(cases) - len(records),
        means={name: mean_score([record.measurements[name] for record in records]) for name in SCORES},
    )


def compare_scores(
    groups: _Groups,
    found: _Found,
    *,
    baseline: str | None,
    margins: Callable[[str, str, str], float],
) -> tuple[ScoreComparison, ...]:
    """Compare every recipe with the baseline on every benchmark that both were asked; p-values are not adjusted yet.

    Args:
        groups: Planned cases by benchmark and recipe.
        found: Records by recipe and case.
        baseline: What to compare with, if anything.
        margins: The loss that evidence is about, by recipe, benchmark and score.
    """
    return tuple(
        ScoreComparison(
            benchmark=benchmark,
            recipe=recipe,
            baseline=baseline,
            changes={
                name: _change(list(_pairs(recipe, baseline, cases, found, name)), margins(recipe, benchmark, name))
                for name in SCORES
            },
        )
        for (benchmark, recipe), cases in groups.items()
        if baseline and recipe != baseline and (benchmark, baseline) in groups
    )


def _pairs(
    recipe: str, baseline: str, cases: Sequence[Case], found: _Found, name: str
) -> Iterator[tuple[float, float]]:
    """Yield the baseline's score and the recipe's own."""
    for case in cases:
        own, base = found.get((recipe, case)), found.get((baseline, case))
        if own and base:
            yield base.measurements[name], own.measurements[name]


def _change(pairs: Sequence[tuple[float, float]], margin: float) -> ScoreChange:
    delta = paired_mean([base for base, _ in pairs], [own for _, own in pairs])
    differences = [own - base for base, own in pairs]
    p = sign_flip_p(differences)
    return ScoreChange(
        delta=delta,
        relative_drop=_relative_drop(pairs, delta),
        higher=sum(difference > 0 for difference in differences),
        lower=sum(difference < 0 for difference in differences),
        p=p,
        p_adjusted=p,
        evidence=evidence_of(delta, margin=margin),
        margin=margin,
        detectable_drop=detectable_score_drop(differences),
    )


def _relative_drop(pairs: Sequence[tuple[float, float]], delta: Quantity) -> Quantity:
    """Return the difference as a share of the baseline's mean, which is taken for known."""
    base = sum(base for base, _ in pairs) / len(pairs) if pairs else 0.0
    if isinstance(delta, Undefined):
        return delta
    if not base:
        return Undefined(reason="the baseline scored nothing, of which a share could be lost")
    low, high = (None if end is None else 0.0 - end / base for end in (delta.high, delta.low))
    method = f"{delta.method}, over the baseline's mean"
    return replace(delta, value=0.0 - delta.value / base, low=low, high=high, method=method)


def adjust_changes(compared: Sequence[ScoreComparison], adjusted: Iterator[float]) -> tuple[ScoreComparison, ...]:
    """Put the next adjusted p-value into every change, in their order."""
    return tuple(
        replace(
            comparison,
            changes={name: replace(change, p_adjusted=next(adjusted)) for name, change in comparison.changes.items()},
        )
        for comparison in compared
    )
