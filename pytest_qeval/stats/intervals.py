"""Estimates with 95 % intervals: a proportion, a mean over problems, a ratio of sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_qeval.schema import Estimate, Quantity, Undefined

CONFIDENCE = 0.95
"""Of all intervals but those of early looks."""
NO_PROBLEM = Undefined(reason="no problem was evaluated")

_RESAMPLES = 2000


def proportion(successes: int, n: int) -> Quantity:
    """Estimate a proportion with Wilson's score interval (Wilson, 1927; through `scipy.stats.binomtest`)."""
    if n == 0:
        return NO_PROBLEM
    from scipy.stats import binomtest  # noqa: PLC0415 - scipy.stats takes half a second, which an inert plugin must not

    interval = binomtest(successes, n).proportion_ci(method="wilson")
    return Estimate(value=successes / n, low=float(interval.low), high=float(interval.high), n=n, method="wilson")


def mean_of_problems(values: Sequence[float]) -> Quantity:
    """Estimate the mean of per-problem values with a bootstrap over problems (percentile, 2,000 resamples, seeded).

    Samples of one problem are not independent, so problems are resampled (Efron, 1979).
    """
    if not values:
        return NO_PROBLEM
    return _bootstrap(values, [1.0] * len(values))


def ratio_of_sums(numerators: Sequence[float], denominators: Sequence[float]) -> Quantity:
    """Estimate Σ numerators / Σ denominators, one of each per problem, with a bootstrap over problems.

    This is for means per token: tokens of one problem resemble each other, so an interval over tokens would be far too
    narrow. Percentile, 2,000 resamples, seeded. Problems whose denominator is 0 (no token) are left out.

    Raises:
        ValueError: If there are not as many numerators as denominators.
    """
    pairs = [(top, bottom) for top, bottom in zip(numerators, denominators, strict=True) if bottom]
    if not pairs:
        return Undefined(reason="no problem has anything to take the mean of")
    return _bootstrap([top for top, _ in pairs], [bottom for _, bottom in pairs])


def _bootstrap(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    n = len(numerators)
    ratio = sum(numerators) / sum(denominators)
    if len({top / bottom for top, bottom in zip(numerators, denominators, strict=True)}) == 1:
        return Estimate(value=ratio, low=None, high=None, n=n, method="all problems equal")
    import numpy as np  # noqa: PLC0415 - as above
    from scipy.stats import bootstrap  # noqa: PLC0415 - as above

    interval = bootstrap(
        (np.asarray(numerators), np.asarray(denominators)),
        lambda tops, bottoms, axis: tops.sum(axis=axis) / bottoms.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return Estimate(value=ratio, low=low, high=high, n=n, method="bootstrap over problems")


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
