"""Quantiles with exact intervals by order statistics, which assume no distribution."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, floor

from pytest_qeval.schema import Estimate
from pytest_qeval.stats.intervals import CONFIDENCE


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile, interpolated linearly between the order statistics.

    Raises:
        ValueError: for no values.
    """
    if not values:
        raise ValueError("no values have no quantile")
    ordered, place = sorted(values), share * (len(values) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def estimate_quantile(values: Sequence[float], share: float, *, unit: str) -> Estimate:
    """Estimate a quantile of independent values.

    The number of values below the quantile is Binomial(n, share). The limits are the l-th smallest value, with the
    largest l for which P(X < l) ≤ 2.5 %, and the u-th smallest with the smallest u for which P(X ≥ u) ≤ 2.5 % (David
    and Nagaraja, 2003, "Order Statistics", section 7.1). They cover at least as often as stated. A limit is None where
    there are too few values for it: the median needs six.

    Args:
        values: At least one.
        share: Between 0 and 1; 0.5 is the median.
        unit: What the values are of, for the method: `rounds`, `problems`.

    Raises:
        ValueError: for no values.
    """
    ordered, n, tail = sorted(values), len(values), (1 - CONFIDENCE) / 2
    below = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    low = max((rank for rank in range(1, n + 1) if sum(below[:rank]) <= tail), default=None)
    high = min((rank for rank in range(1, n + 1) if sum(below[rank:]) <= tail), default=None)
    name = "median" if share == 0.5 else f"p{100 * share:.0f}"  # noqa: PLR2004 - the median
    return Estimate(
        value=quantile(ordered, share),
        low=None if low is None else ordered[low - 1],
        high=None if high is None else ordered[high - 1],
        n=n,
        method=f"{name} of {n} {unit}, order statistics",
    )
