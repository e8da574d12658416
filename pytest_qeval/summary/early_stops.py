"""Recipes that were stopped early: their values without the intervals and p-values that such a stop makes invalid.

When a run ends because of what it has seen, a 95 % interval over the problems so far covers the truth less often, and a
p-value below 0.05 is found more often. What the run may conclude is the decision that stopped it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.length import Lengths, LengthSummary
from pytest_qeval.summary.pass_rates import BenchmarkResult

_METHOD = "stopped early, after which no interval is valid"
Stops = Collection[tuple[str, str]]
"""Recipes and benchmarks."""


def withhold_from_results(results: Collection[BenchmarkResult], stops: Stops) -> tuple[BenchmarkResult, ...]:
    """Take the intervals from the results of recipes that were stopped on their benchmark."""
    return tuple(
        replace(one, pass_at={k: _bare(value) for k, value in one.pass_at.items()})
        if (one.recipe, one.benchmark) in stops
        else one
        for one in results
    )


def withhold_from_comparisons(comparisons: Collection[Comparison], stops: Stops) -> tuple[Comparison, ...]:
    """Take intervals, p-values and evidence from the comparisons of recipes that were stopped on their benchmark."""
    return tuple(_withheld(one) if (one.recipe, one.benchmark) in stops else one for one in comparisons)


def withhold_from_lengths(lengths: LengthSummary, stops: Stops) -> LengthSummary:
    """Take the intervals from the lengths of recipes that were stopped on their benchmark."""
    return LengthSummary(
        results=tuple(
            replace(one, lengths=_bare_lengths(one.lengths)) if (one.recipe, one.benchmark) in stops else one
            for one in lengths.results
        ),
        comparisons=tuple(
            replace(
                one,
                of_baseline=_bare_lengths(one.of_baseline),
                of_candidate=_bare_lengths(one.of_candidate),
                token_ratio=_bare(one.token_ratio),
                truncated_increase=_bare(one.truncated_increase),
                loops_increase=_bare(one.loops_increase),
            )
            if (one.recipe, one.benchmark) in stops
            else one
            for one in lengths.comparisons
        ),
    )


def _bare_lengths(lengths: Lengths) -> Lengths:
    return replace(
        lengths,
        tokens=_bare(lengths.tokens),
        truncated=replace(lengths.truncated, share=_bare(lengths.truncated.share)),
        loops=replace(lengths.loops, share=_bare(lengths.loops.share)),
    )


def _withheld(one: Comparison) -> Comparison:
    return replace(
        one,
        delta=_bare(one.delta),
        relative_drop=_bare(one.relative_drop),
        delta_at={k: _bare(value) for k, value in one.delta_at.items()},
        relative_drop_at={k: _bare(value) for k, value in one.relative_drop_at.items()},
        odds_ratio=_bare(one.odds_ratio),
        mcnemar_p=None,
        mcnemar_p_adjusted=None,
        evidence="unproven",
        detectable_drop=None,
        excess=one.excess and replace(one.excess, excess=_bare(one.excess.excess), p=None),
    )


def _bare(quantity: Quantity) -> Quantity:
    """Return the value as it was observed, without an interval."""
    return quantity if isinstance(quantity, Undefined) else replace(quantity, low=None, high=None, method=_METHOD)
