"""Intervals: of one recipe's score, of a ratio of sums, and the score limits of two paired proportions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_qeval.schema import Estimate, Quantity, Undefined

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Limits",
    "mean_of_problems",
    "paired_difference_limits",
    "paired_difference_statistic",
    "paired_ratio_limits",
    "proportion",
    "ratio_of_sums",
]

_RESAMPLES = 2000
_HALVINGS = 40
"""An interval of length 2 shrinks to 2e-12."""


class Limits(NamedTuple):
    """Ends of intervals, one element per pair of recipes."""

    low: Floats
    high: Floats


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
    return _bootstrapped(values, [1.0] * len(values), confidence=confidence, seed=seed)


def ratio_of_sums(
    numerators: Sequence[float], denominators: Sequence[float], *, confidence: float = 0.95, seed: int = 0
) -> Quantity:
    """Estimate Σ numerators / Σ denominators, one of each per problem, with a bootstrap over problems.

    For means per token: tokens of one problem resemble each other, so that an interval over tokens would be far too
    narrow. Percentile, 2,000 resamples, seeded. Problems whose denominator is 0 (no token) have nothing to say.

    Raises:
        ValueError: when there are not as many numerators as denominators.
    """
    pairs = [(top, bottom) for top, bottom in zip(numerators, denominators, strict=True) if bottom]
    if not pairs:
        return Undefined(reason="no problem has anything to take the mean of")
    return _bootstrapped([top for top, _ in pairs], [bottom for _, bottom in pairs], confidence=confidence, seed=seed)


def _bootstrapped(
    numerators: Sequence[float], denominators: Sequence[float], *, confidence: float, seed: int
) -> Estimate:
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
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(
        value=ratio,
        low=float(interval.low),
        high=float(interval.high),
        n=n,
        method="bootstrap over problems",
        confidence=confidence,
    )


def paired_difference_limits(fixed: ArrayLike, regressed: ArrayLike, n: int, *, confidence: float) -> Limits:
    """Return Tango's score limits for candidate minus baseline pass rate, for arrays of flips among n problems.

    All differences whose score statistic lies within ±z (Tango, 1998, "Equivalence test and confidence interval for
    the difference in proportions for the paired-sample design", Statistics in Medicine 17:891-908).
    """
    import numpy as np  # noqa: PLC0415 - as above
    from scipy.stats import norm  # noqa: PLC0415 - as above

    z = float(norm.ppf((1 + confidence) / 2))
    b, c = np.broadcast_arrays(np.asarray(fixed, float), np.asarray(regressed, float))
    observed = (b - c) / n
    one = np.ones_like(observed)

    def statistic(delta: Floats) -> Floats:
        return paired_difference_statistic(b, c, n, delta)

    return _limits(statistic, z, low=-one, observed=observed, high=one)


def paired_difference_statistic(fixed: ArrayLike, regressed: ArrayLike, n: int, delta: ArrayLike) -> Floats:
    """Return Tango's z: how many standard errors the observed difference lies above `delta`.

    z = (b − c − n·δ) / √(n·(2q + δ·(1 − δ))) for b fixed and c regressed problems; q is the chance to regress that is
    most likely when the difference is δ: the larger root of 2n·q² + (−b − c + (2n − b + c)·δ)·q − c·δ·(1 − δ).
    """
    import numpy as np  # noqa: PLC0415 - as above

    b, c, d = (np.asarray(values, float) for values in (fixed, regressed, delta))
    q = _larger_root(2.0 * n, -b - c + (2 * n - b + c) * d, -c * d * (1 - d))
    return _standardised(b - c - n * d, n * (2 * q + d * (1 - d)))


def paired_ratio_limits(
    both: ArrayLike, fixed: ArrayLike, regressed: ArrayLike, n: int, *, confidence: float
) -> Limits:
    """Return score limits for candidate over baseline pass rate, for arrays of outcomes of n problems.

    All ratios ρ with |x − ρ·y| ≤ z·√(n·(1 + ρ)·q + (ρ − 1)·(a + b + c)) for x solved by the candidate and y > 0 by the
    baseline, a by both, b fixed, c regressed; q is the chance to regress that is most likely when the ratio is ρ
    (Tang, Tang & Chan, 2003, "On tests of equivalence via non-unity relative risk for matched-pair design",
    Statistics in Medicine 22:1217-1233). At ρ = 1 it is Tango's statistic at δ = 0: both agree on "no change".
    """
    import numpy as np  # noqa: PLC0415 - as above
    from scipy.stats import norm  # noqa: PLC0415 - as above

    z = float(norm.ppf((1 + confidence) / 2))
    a, b, c = np.broadcast_arrays(*(np.asarray(values, float) for values in (both, fixed, regressed)))
    x, y, any_solved = a + b, a + c, a + b + c

    def statistic(share: Floats) -> Floats:
        ratio = share / (1 - share)
        q = _larger_root(n * (1 + ratio), y * ratio**2 - x - 2 * c, c * (1 - ratio) * any_solved / n)
        return _standardised(x - ratio * y, n * (1 + ratio) * q + (ratio - 1) * any_solved)

    # searched as ρ / (1 + ρ), which ends at 1 where the ratio would not end
    observed = x / (x + y)
    shares = _limits(statistic, z, low=np.zeros_like(observed), observed=observed, high=np.ones_like(observed))
    return Limits(*(share / (1 - share) for share in shares))


def _larger_root(a: ArrayLike, b: Floats, c: Floats) -> Floats:
    import numpy as np  # noqa: PLC0415 - as above

    root: Floats = (np.sqrt(np.maximum(b * b - 4 * np.asarray(a) * c, 0.0)) - b) / (2 * np.asarray(a))
    return root


def _standardised(distance: Floats, variance: Floats) -> Floats:
    import numpy as np  # noqa: PLC0415 - as above

    deviation = np.sqrt(np.maximum(variance, 1e-300))  # without any variance every distance is infinitely surprising
    standardised: Floats = distance / deviation
    return standardised


def _limits(statistic: Callable[[Floats], Floats], z: float, *, low: Floats, observed: Floats, high: Floats) -> Limits:
    """Find where falling statistics cross z and −z, on either side of what was observed, by halving."""
    import numpy as np  # noqa: PLC0415 - as above

    starts, ends = np.stack([low, observed]), np.stack([observed, high])
    targets = np.stack([np.full_like(observed, z), np.full_like(observed, -z)])
    for _ in range(_HALVINGS):
        middles = (starts + ends) / 2
        above = statistic(middles) > targets
        starts, ends = np.where(above, middles, starts), np.where(above, ends, middles)
    return Limits(*((starts + ends) / 2))
