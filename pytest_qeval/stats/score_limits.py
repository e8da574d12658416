"""Score limits of two paired proportions: of their difference and of their ratio, for arrays of outcomes at once.

Reports have those of `widened_limits`, which are the same where about as many problems regressed as were fixed.

numpy and scipy are imported at the top, so import this module inside of functions: they take half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

_HALVINGS = 40
"""Bisection steps: an interval of length 2 shrinks to 2e-12."""


class Limits(NamedTuple):
    """Lower and upper ends, one element per pair of recipes."""

    low: Floats
    high: Floats


def paired_difference_limits(fixed: ArrayLike, regressed: ArrayLike, n: ArrayLike, *, confidence: float) -> Limits:
    """Return Tango's score limits of candidate minus baseline pass rate, for arrays of flips among n problems.

    The interval holds all differences whose score statistic lies within ±z (Tango, 1998, "Equivalence test and
    confidence interval for the difference in proportions for the paired-sample design", Statistics in Medicine
    17:891-908).
    """
    z = float(ndtri((1 + confidence) / 2))
    b, c, problems = np.broadcast_arrays(*(np.asarray(values, float) for values in (fixed, regressed, n)))
    observed = (b - c) / problems
    one = np.ones_like(observed)

    def statistic(delta: Floats) -> Floats:
        return paired_difference_statistic(b, c, problems, delta)

    return _limits(statistic, z, low=-one, observed=observed, high=one)


def paired_difference_statistic(fixed: ArrayLike, regressed: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Floats:
    """Return Tango's z: how many standard errors the observed difference lies above `delta`.

    z = (b − c − n·δ) / √(n·(2q + δ·(1 − δ))) for b fixed and c regressed problems. q is the maximum likelihood estimate
    of the chance to regress if the difference is δ: the larger root of
    2n·q² + (−b − c + (2n − b + c)·δ)·q − c·δ·(1 − δ).
    """
    b, c, m, d = (np.asarray(values, float) for values in (fixed, regressed, n, delta))
    q = _larger_root(2 * m, -b - c + (2 * m - b + c) * d, -c * d * (1 - d))
    return _standardised(b - c - m * d, m * (2 * q + d * (1 - d)))


def paired_ratio_limits(
    both: ArrayLike, fixed: ArrayLike, regressed: ArrayLike, n: ArrayLike, *, confidence: float
) -> Limits:
    """Return score limits of candidate over baseline pass rate, for arrays of outcomes of n problems.

    The interval holds all ratios ρ with |x − ρ·y| ≤ z·√(n·(1 + ρ)·q + (ρ − 1)·(a + b + c)), where the candidate solves
    x problems, the baseline y > 0, both a; b are fixed and c regressed. q is the maximum likelihood estimate of the
    chance to regress if the ratio is ρ (Tang, Tang & Chan, 2003, "On tests of equivalence via non-unity relative risk
    for matched-pair design", Statistics in Medicine 22:1217-1233). At ρ = 1 this is Tango's statistic at δ = 0, so the
    two intervals agree on "no change".
    """
    z = float(ndtri((1 + confidence) / 2))
    a, b, c, m = np.broadcast_arrays(*(np.asarray(values, float) for values in (both, fixed, regressed, n)))
    x, y, any_solved = a + b, a + c, a + b + c

    def statistic(share: Floats) -> Floats:
        ratio = share / (1 - share)
        q = _larger_root(m * (1 + ratio), y * ratio**2 - x - 2 * c, c * (1 - ratio) * any_solved / m)
        return _standardised(x - ratio * y, m * (1 + ratio) * q + (ratio - 1) * any_solved)

    # Search ρ / (1 + ρ), which is bounded by 1 where the ratio is unbounded.
    observed = x / (x + y)
    shares = _limits(statistic, z, low=np.zeros_like(observed), observed=observed, high=np.ones_like(observed))
    return Limits(*(share / (1 - share) for share in shares))


def _larger_root(a: ArrayLike, b: Floats, c: Floats) -> Floats:
    root: Floats = (np.sqrt(np.maximum(b * b - 4 * np.asarray(a) * c, 0.0)) - b) / (2 * np.asarray(a))
    return root


def _standardised(distance: Floats, variance: Floats) -> Floats:
    deviation = np.sqrt(np.maximum(variance, 1e-300))  # no variance: every distance is infinitely unlikely
    standardised: Floats = distance / deviation
    return standardised


def _limits(statistic: Callable[[Floats], Floats], z: float, *, low: Floats, observed: Floats, high: Floats) -> Limits:
    """Find by bisection where decreasing statistics cross z and −z, on either side of the observed value."""
    starts, ends = np.stack([low, observed]), np.stack([observed, high])
    targets = np.stack([np.full_like(observed, z), np.full_like(observed, -z)])
    for _ in range(_HALVINGS):
        middles = (starts + ends) / 2
        above = statistic(middles) > targets
        starts, ends = np.where(above, middles, starts), np.where(above, ends, middles)
    return Limits(*((starts + ends) / 2))
