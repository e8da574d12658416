"""Intervals for one recipe's score."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval.schema import Estimate, Quantity, Undefined

__all__ = ["mean_of_problems", "proportion"]

_RESAMPLES = 2000


def proportion(successes: int, n: int, *, confidence: float = 0.95) -> Quantity:
    """Estimate a proportion with Wilson's score interval (Wilson, 1927; through `scipy.stats.binomtest`)."""
    if n == 0:
        return Undefined(reason="no problem was evaluated")
    from scipy.stats import binomtest  # noqa: PLC0415 - scipy.stats takes half a second, which an inert plugin must not

    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Estimate(
        value=successes / n,
        low=float(interval.low),
        high=float(interval.high),
        n=n,
        method="wilson",
        confidence=confidence,
    )


def mean_of_problems(values: Sequence[float], *, confidence: float = 0.95, seed: int = 0) -> Quantity:
    """Estimate the mean of per-problem values with a bootstrap over problems (percentile, 2,000 resamples, seeded).

    Samples of one problem are not independent, so problems are what is drawn again (Efron, 1979).
    """
    if not values:
        return Undefined(reason="no problem was evaluated")
    mean = sum(values) / len(values)
    if len(set(values)) == 1:
        return Estimate(value=mean, low=None, high=None, n=len(values), method="all problems equal")
    import numpy as np  # noqa: PLC0415 - as above
    from scipy.stats import bootstrap  # noqa: PLC0415 - as above

    interval = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(
        value=mean,
        low=float(interval.low),
        high=float(interval.high),
        n=len(values),
        method="bootstrap over problems",
        confidence=confidence,
    )
