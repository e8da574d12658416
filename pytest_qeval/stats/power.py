"""How many paired problems prove how small a loss."""

from __future__ import annotations

from bisect import bisect_left

from pytest_qeval.stats.intervals import CONFIDENCE

_STEPS_PER_UNIT = 10_000
"""Detectable drops are multiples of 0.0001."""
_RARE = 1e-9
"""Chance of the numbers of flips that are left out on each side."""


def detectable_drop(n: int, *, discordance: float = 0.08, power: float = 0.8) -> float:
    """Return the smallest margin, as a fraction, that n paired problems prove not to be exceeded with chance `power`.

    The candidate is assumed to lose nothing and to flip the outcome of a share `discordance` of the problems; proven
    means that `evidence_of` its interval is "not worse". The power is exact, a sum over all outcomes, where the usual
    (z + z')·√(discordance / n) promises too much for a few hundred problems. The margin is rounded up to 0.0001.

    >>> detectable_drop(164)
    0.0687
    """

    def power_at(step: int) -> float:
        return _power(n, step / _STEPS_PER_UNIT, discordance=discordance)

    return bisect_left(range(_STEPS_PER_UNIT), power, key=power_at) / _STEPS_PER_UNIT


def problems_needed(margin: float, *, discordance: float = 0.08, power: float = 0.8) -> int:
    """Return how many paired problems prove `margin`: the inverse of `detectable_drop`, under the same assumptions.

    Raises:
        ValueError: If the margin is not a fraction above 0; no number of problems proves a loss of exactly 0.
    """
    if not 0 < margin <= 1:
        raise ValueError(f"a margin is a fraction above 0, such as 0.02 for 2 points, not {margin:g}")

    def power_at(n: int) -> float:
        return _power(n, margin, discordance=discordance)

    enough = 1
    while power_at(enough) < power:
        enough *= 2
    return bisect_left(range(enough), power, lo=enough // 2, key=power_at)


def _power(n: int, margin: float, *, discordance: float) -> float:
    """Sum the chances of all outcomes that prove the margin: for each number of flips, those with enough fixed."""
    import numpy as np  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not
    from scipy.special import bdtr, betainc, gammaln, ndtri, xlog1py, xlogy  # noqa: PLC0415 - as above

    from pytest_qeval.stats.widened_limits import difference_statistics  # noqa: PLC0415 - as above

    z = ndtri((1 + CONFIDENCE) / 2)
    at_most = bdtr(np.arange(n + 1), n, discordance)
    first, last = np.searchsorted(at_most, (_RARE, 1 - _RARE))
    flips = np.arange(first, last + 1, dtype=float)
    low, high = np.zeros_like(flips), flips + 1  # the fewest fixed problems that prove it lie in [low, high]
    while np.any(low < high):
        middle = (low + high) // 2
        proven = difference_statistics(middle, flips - middle, n, -margin).low > z
        low, high = np.where(proven, low, middle + 1), np.where(proven, middle, high)
    counts = gammaln(n + 1) - gammaln(flips + 1) - gammaln(n - flips + 1)
    chances = np.exp(counts + xlogy(flips, discordance) + xlog1py(n - flips, -discordance))
    at_least = betainc(np.maximum(high, 1), np.maximum(flips - high + 1, 1), 0.5)  # so many fixed, of all flips
    return float(np.sum(chances * np.select([high == 0, high > flips], [1.0, 0.0], at_least)))
