"""Estimates with 95 % intervals: a proportion, a mean over problems, a ratio of sums."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from math import exp, fsum, sqrt
from statistics import NormalDist
from typing import NamedTuple

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.clusters import cluster_sums, stand_alone, typical_size

CONFIDENCE = 0.95
"""Of all intervals but those of early looks."""
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""The normal quantile of such an interval, 1.96."""
SAFETY = 1.02
"""How much larger quantiles are than nominal ones, where an interval is approximate: 2 standard errors instead of 1.96.
The smallest factor with which `benchmarks/error_rates.py` finds no side that errs more often than stated."""
NO_PROBLEM = Undefined(reason="no problem was evaluated")

_NOTHING = Undefined(reason="no problem has anything to take the mean of")
_RESAMPLES = 2000
_UNSEEN = 3.5
"""How many times as much as the worst problem an unseen one may diverge, see `ratio_of_positive_sums`."""


def proportion(successes: int, n: int) -> Quantity:
    """Estimate a proportion with the exact interval of Clopper and Pearson (1934).

    It covers at least as often as stated. Wilson's, which is narrower, misses in up to 16 % of runs on one side where
    nearly all problems are solved, or nearly none.
    """
    return mean_of_problems([1.0] * successes + [0.0] * (n - successes))


def mean_of_problems(values: Sequence[float], clusters: Sequence[str] | None = None) -> Quantity:
    """Estimate the mean of shares between 0 and 1, one per problem, with an exact interval for their effective number.

    Samples of one problem are not independent, so a problem counts once, by its share x. Shares vary less than outcomes
    of 0 and 1 with the same mean m: by r = (Σ(xᵢ − m)² + 1) / (n·m·(1 − m) + 1), and n / r takes the place of n in
    Clopper and Pearson's interval (Korn & Graubard, 1998, "Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data", Survey Methodology 24:193-201). Both terms of r have one
    problem more, which may be unlike those that were seen. Outcomes of 0 and 1 have r = 1, so that one sample per
    problem gives Clopper and Pearson's own; so have problems that are all solved, or none.
    `benchmarks/error_rates.py` searches how seldom the truth is covered at worst.

    With `clusters`, one name per problem, squares are of the sums over a cluster, Σ(xᵢ − m), and the one problem more
    is a cluster of the typical size. `benchmarks/clusters.py` measures how often the truth is covered.

    Raises:
        ValueError: If a share is not between 0 and 1, or there are not as many clusters as shares.
    """
    if not values:
        return NO_PROBLEM
    if min(values) < 0 or max(values) > 1:
        raise ValueError(f"shares lie between 0 and 1, not between {min(values):g} and {max(values):g}")
    n, mean = len(values), fsum(values) / len(values)
    names: Sequence[Hashable] = range(n) if clusters is None else clusters
    sums, size = cluster_sums([value - mean for value in values], names), typical_size(names)
    ratio = (fsum(total * total for total in sums) + size * size) / (n * mean * (1 - mean) + size)
    low, high = exact_limits(mean, n / ratio)
    method = "clopper-pearson"
    if not (stand_alone(names) and {*values} <= {0, 1}):
        method += ", effective sample size"
    return Estimate(value=mean, low=low, high=high, n=n, method=method)


def exact_limits(mean: float, draws: float) -> tuple[float, float]:
    """Return Clopper and Pearson's limits by quantiles of beta distributions, which take any number of draws."""
    from scipy.special import betaincinv  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not

    tail, solved = (1 - CONFIDENCE) / 2, mean * draws
    low = float(betaincinv(solved, draws - solved + 1, tail)) if mean > 0 else 0.0
    high = float(betaincinv(solved + 1, draws - solved, 1 - tail)) if mean < 1 else 1.0
    return min(low, mean), max(high, mean)  # the quantiles of shares near 0 are not that exact


def ratio_of_sums(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str] | None = None
) -> Quantity:
    """Estimate Σ numerators / Σ denominators, one of each per problem, with a bootstrap over problems.

    This is for means per token: tokens of one problem resemble each other, so an interval over tokens would be far too
    narrow. Percentile, 2,000 resamples, seeded. Problems whose denominator is 0 (no token) are left out. With
    `clusters`, one name per problem, a cluster is drawn whole.

    Raises:
        ValueError: If there are not as many numerators as denominators.
    """
    n, pairs = _counted(numerators, denominators, clusters)
    if not n:
        return _NOTHING
    ratio = fsum(top for top, _ in pairs) / fsum(bottom for _, bottom in pairs)
    if len({top / bottom for top, bottom in pairs}) == 1:
        return Estimate(value=ratio, low=None, high=None, n=n, method=_equal(n, pairs))
    low, high = _bootstrap(pairs)
    method = "bootstrap over problems" if n == len(pairs) else "bootstrap over clusters"
    return Estimate(value=ratio, low=low, high=high, n=n, method=method)


def _counted(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str] | None
) -> tuple[int, list[tuple[float, float]]]:
    """Return how many problems have a denominator, and both sums of each cluster of these."""
    names: Sequence[Hashable] = range(len(numerators)) if clusters is None else clusters
    kept = [found for found in zip(numerators, denominators, names, strict=True) if found[1]]
    shared = [name for _, _, name in kept]
    tops = cluster_sums([top for top, _, _ in kept], shared)
    bottoms = cluster_sums([bottom for _, bottom, _ in kept], shared)
    return len(kept), list(zip(tops, bottoms, strict=True))


def _equal(n: int, pairs: Sequence[tuple[float, float]]) -> str:
    return "all problems equal" if len(pairs) > 1 or n == 1 else "all problems share one source"


def _bootstrap(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    import numpy as np  # noqa: PLC0415 - as above
    from scipy.stats import bootstrap  # noqa: PLC0415 - half a second, which only this interval needs

    interval = bootstrap(
        tuple(np.asarray(pairs).T),
        lambda tops, bottoms, axis: tops.sum(axis=axis) / bottoms.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def ratio_of_positive_sums(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str] | None = None
) -> Quantity:
    """Estimate Σ numerators / Σ denominators, one of each per problem, of numerators that are at least 0 and skewed.

    Divergences are such: a few problems make most of the sum, and a sample that lacks them looks small and certain at
    once. The standard error is that of the delta method, q = s / √n, with s the standard deviation of the residuals
    eᵢ = (xᵢ − r·yᵢ) / ȳ (Cochran, 1977, "Sampling Techniques", chapter 6). The upper limit is r + t·q, and the lower
    one r·exp(−t·q / r), which is not negative. t is Student's quantile; its degrees of freedom are not n − 1 but those
    of Satterthwaite (1946) for a spread that few problems make, (Σeᵢ²)² / Σeᵢ⁴ − 1, at least 1. For each limit, r, s
    and n have one problem more, of average size, for what has not been seen: for the upper limit its ratio is 3.5 times
    the largest one, for the lower limit it is 0. `benchmarks/divergence_interval.py` measures how often each limit
    errs, beside a percentile bootstrap. Problems whose denominator is 0 (no token) are left out.

    With `clusters`, one name per problem, a cluster counts once, by its sums.

    Raises:
        ValueError: If there are not as many numerators as denominators, or a numerator is negative.
    """
    if min(numerators, default=0.0) < 0:
        raise ValueError(f"the numerators have to be at least 0, not {min(numerators):g}")
    n, pairs = _counted(numerators, denominators, clusters)
    if not n:
        return _NOTHING
    size = fsum(bottom for _, bottom in pairs) / len(pairs)
    value, ratios = fsum(top for top, _ in pairs) / len(pairs) / size, {top / bottom for top, bottom in pairs}
    if len(ratios) == 1:
        return Estimate(value=value, low=None, high=None, n=n, method=_equal(n, pairs))
    less, more = (_Ratio.of([*pairs, (unseen * size, size)]) for unseen in (0.0, _UNSEEN * max(ratios)))
    method = f"delta method, one unseen {'problem' if len(pairs) == n else 'cluster'}"
    low, high = less.ratio * exp(-less.width), more.ratio * (1 + more.width)
    return Estimate(value=value, low=low, high=high, n=n, method=method)


class _Ratio(NamedTuple):
    ratio: float
    error: float
    """Standard error, as a share of the ratio."""
    degrees: float
    """Degrees of freedom of the standard error."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> _Ratio:
        n, size = len(pairs), fsum(bottom for _, bottom in pairs) / len(pairs)
        ratio = fsum(top for top, _ in pairs) / n / size
        squares = [(top - ratio * bottom) ** 2 for top, bottom in pairs]
        spread, fourth = fsum(squares), fsum(square * square for square in squares)
        error = sqrt(spread / (n * (n - 1))) / (ratio * size) if ratio and n > 1 else 0.0
        return cls(ratio, error, max(spread * spread / fourth - 1, 1.0) if fourth else n - 1.0)

    @property
    def width(self) -> float:
        """Half of the interval's width, as a share of the ratio."""
        from scipy.special import stdtrit  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not

        return SAFETY * float(stdtrit(self.degrees, (1 + CONFIDENCE) / 2)) * self.error


def transform(quantity: Quantity, monotone: Callable[[float], float], *, method: str | None = None) -> Quantity:
    """Apply a monotone function to an estimate and to both ends of its interval."""
    if isinstance(quantity, Undefined):
        return quantity
    ends: list[float] = sorted(monotone(end) for end in (quantity.low, quantity.high) if end is not None)
    low, high = ends or (None, None)
    return replace(quantity, value=monotone(quantity.value), low=low, high=high, method=method or quantity.method)


def negate(quantity: Quantity) -> Quantity:
    """Turn a change into a loss, or a loss into a change."""
    return transform(quantity, lambda value: 0.0 - value)
