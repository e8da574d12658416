"""Lengths of completions: means and ratios, with intervals for what has a few very large values."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, sqrt
from typing import Literal, NamedTuple

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.clusters import cluster_sums, typical_size
from pytest_qeval.stats.intervals import CONFIDENCE, NO_PROBLEM
from pytest_qeval.stats.paired import NO_PAIRS

_METHOD = "delta method on the logarithm, one unseen problem"
_SHORTEST = 1.0
"""Tokens of the shortest completion."""


class _Pair(NamedTuple):
    """Lengths of one problem."""

    baseline: float
    candidate: float


def ratio_of_lengths(
    baseline: Sequence[float], candidate: Sequence[float], *, limit: float, clusters: Sequence[str] | None = None
) -> Quantity:
    """Estimate mean candidate length / mean baseline length over the same problems.

    With the ratio r and the residuals eᵢ = candidateᵢ − r · baselineᵢ, log r has the standard error
    √(Σeᵢ² / (n − 1) / n) / mean candidate length (delta method), and limits by Student's quantile. Most completions are
    equal and a few run into the token limit, so that n problems may not show what happens in the next one. Each end
    therefore has one problem more, the most extreme that there can be: for the upper end one whose baseline is of mean
    length and whose candidate is as long as the limit allows, for the lower end the opposite; or from the mean down to
    one token, where that is farther. `benchmarks/lengths.py` measures how often the truth is covered; without that
    problem, the interval may miss it in more than half of the runs.

    Args:
        baseline: Length of each problem's completion, or the mean over its samples.
        candidate: Those of the candidate, in the same order.
        limit: The longest that a completion can be.
        clusters: One name per problem. A cluster counts once, by its sums, and the unseen problem is a cluster of the
            typical size.

    Raises:
        ValueError: If there are not as many lengths of one as of the other.
    """
    if len(baseline) != len(candidate):
        raise ValueError(f"{len(baseline)} lengths of the baseline cannot be paired with {len(candidate)}")
    if not baseline:
        return NO_PAIRS
    if not sum(baseline):
        return Undefined(reason="the baseline generated no token")
    limit = max(limit, *baseline, *candidate)
    pairs, size, n = _sums(baseline, candidate, clusters), _size(clusters), len(baseline)
    short, long = _extreme(fsum(baseline) / n, limit)
    lost, full = _extreme(fsum(candidate) / n, limit)
    return Estimate(
        value=fsum(candidate) / fsum(baseline),
        low=_end([*pairs, _Pair(size * full, size * lost)], -1),
        high=_end([*pairs, _Pair(size * short, size * long)], 1),
        n=n,
        method=_METHOD,
    )


def mean_length(lengths: Sequence[float], *, limit: float, clusters: Sequence[str] | None = None) -> Quantity:
    """Estimate the mean length of completions, one value a problem; the interval is that of `ratio_of_lengths` to 1.

    The unseen problem is as long as the limit for the upper end, and has one token for the lower one.
    """
    if not lengths:
        return NO_PROBLEM
    pairs, size = _sums([1.0] * len(lengths), lengths, clusters), _size(clusters)
    shortest, longest = min(_SHORTEST, *lengths), max(limit, *lengths)
    return Estimate(
        value=fsum(lengths) / len(lengths),
        low=max(shortest, _end([*pairs, _Pair(size, size * shortest)], -1)),
        high=min(longest, _end([*pairs, _Pair(size, size * longest)], 1)),
        n=len(lengths),
        method=_METHOD,
    )


def _sums(baseline: Sequence[float], candidate: Sequence[float], clusters: Sequence[str] | None) -> list[_Pair]:
    """Return the lengths of each problem, or their sums over each cluster."""
    if clusters is None:
        return [_Pair(*pair) for pair in zip(baseline, candidate, strict=True)]
    sums = (cluster_sums(lengths, clusters) for lengths in (baseline, candidate))
    return [_Pair(*pair) for pair in zip(*sums, strict=True)]


def _size(clusters: Sequence[str] | None) -> float:
    return 1.0 if clusters is None else typical_size(clusters)


def _extreme(mean: float, limit: float) -> tuple[float, float]:
    """Return the lengths of the unseen problem: from the mean up to the limit, or down to one token if that is more."""
    return (mean, limit) if limit - mean >= mean - _SHORTEST else (_SHORTEST, mean)


def _end(pairs: Sequence[_Pair], side: Literal[-1, 1]) -> float:
    """Return one limit of the ratio; 0 where the candidate generated nothing."""
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not

    n, own = len(pairs), fsum(pair.candidate for pair in pairs)
    if not own:
        return 0.0
    ratio = own / fsum(pair.baseline for pair in pairs)
    spread = fsum((pair.candidate - ratio * pair.baseline) ** 2 for pair in pairs)
    error = sqrt(spread / (n - 1) / n) / (own / n)
    return ratio * exp(side * float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error)
