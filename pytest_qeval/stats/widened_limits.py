"""Tango's limits, widened so that they err no more often than they say: more where most flips are of one kind.

Tango's statistic is normal in large samples. Where nearly all flips are losses their number is skewed and has gaps, and
his lower limit of the loss errs in 5.6 % of runs instead of 2.5 %, however many problems there are. Each end is
therefore computed as if a part of one more problem had flipped against it. With as many flips of one kind as of the
other, or nearly, this part is 0. What is left are steps: flips are whole ones, so that the error rate jumps up and down
with the number of problems, by a twentieth of itself. All quantiles are therefore larger by 2 % (`SAFETY`).
`benchmarks/error_rates.py` searches the worst case.

numpy and scipy are imported at the top, so import this module inside of functions: they take half a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from pytest_qeval.stats.intervals import SAFETY
from pytest_qeval.stats.score_limits import (
    Floats,
    Limits,
    paired_difference_limits,
    paired_difference_statistic,
    paired_ratio_limits,
)

_ONE_SIDED = 1 / 3
"""Imbalance of the flips above which limits are widened: one kind is more than twice as frequent as the other."""
_NEAR, _FAR = 0.5, 0.25
"""More flips for the end nearer to 0, and for the other one, if all flips are of one kind. Found by search."""
_DENSE, _OF_DENSE = 0.2, 0.25
"""Share of problems that flip above which limits are widened, and more flips if all problems flip. Found by search."""
_FEW, _OF_FEW = 50, 6
"""Problems below which limits are widened, and by how much: 6/n − 6/50 more flips. Found by search."""


class Added(NamedTuple):
    """Flips that are added for each end: regressed problems for the lower one, fixed problems for the upper one."""

    regressed: Floats
    fixed: Floats


def added_flips(fixed: ArrayLike, regressed: ArrayLike, n: float, *, least: ArrayLike = 0.0) -> Added:
    """Return how many flips are added before an end of the interval is computed, for arrays of flips of n problems.

    If all flips are of one kind, their number is about Poisson's, skewed and without values in between. Half a flip of
    the other kind moves the end near 0 by as much as that takes, by its distance and by its share in the variance. It
    is less where the imbalance |b − c| / (b + c + 1) is below 1, in proportion, and 0 below 1/3. The skewness helps the
    far end, which needs a quarter of a flip. Both ends get more for few problems and where more than a fifth of the
    problems flip, and `least` in any case, for flips that only resemble differences; of these the end near 0 gets up to
    `least` besides.
    """
    b, c = np.broadcast_arrays(np.asarray(fixed, float), np.asarray(regressed, float))
    flips = b + c
    imbalance = np.maximum(np.abs(b - c) / (flips + 1) - _ONE_SIDED, 0) / (1 - _ONE_SIDED)
    other = max(_OF_FEW / n - _OF_FEW / _FEW, 0.0) + _OF_DENSE * np.clip((flips / n - _DENSE) / (1 - _DENSE), 0, 1)
    other = np.maximum(other, least)
    nearer = (_NEAR + np.asarray(least)) * imbalance
    near, far = np.maximum(nearer, other), np.maximum(_FAR * imbalance, other)
    return Added(regressed=np.where(b > c, near, far), fixed=np.where(c > b, near, far))


def difference_limits(
    fixed: ArrayLike, regressed: ArrayLike, n: float, *, confidence: float, least: ArrayLike = 0.0
) -> Limits:
    """Return limits of candidate minus baseline pass rate, for arrays of flips among n problems; see `added_flips`."""
    b, c, confidence = np.asarray(fixed, float), np.asarray(regressed, float), _safe(confidence)
    more = added_flips(b, c, n, least=least)
    low = paired_difference_limits(b, c + more.regressed, n + more.regressed, confidence=confidence).low
    high = paired_difference_limits(b + more.fixed, c, n + more.fixed, confidence=confidence).high
    return Limits(low, high)


def difference_statistics(
    fixed: ArrayLike, regressed: ArrayLike, n: float, delta: ArrayLike, *, least: ArrayLike = 0.0
) -> Limits:
    """Return Tango's z at `delta`, over 1.02, as the lower limit sees it and as the upper one does.

    The lower limit lies above `delta` where the first is above the normal quantile, the upper limit below it where the
    second is below minus the quantile.
    """
    b, c = np.asarray(fixed, float), np.asarray(regressed, float)
    more = added_flips(b, c, n, least=least)
    return Limits(
        paired_difference_statistic(b, c + more.regressed, n + more.regressed, delta) / SAFETY,
        paired_difference_statistic(b + more.fixed, c, n + more.fixed, delta) / SAFETY,
    )


def ratio_limits(both: ArrayLike, fixed: ArrayLike, regressed: ArrayLike, n: float, *, confidence: float) -> Limits:
    """Return limits of candidate over baseline pass rate; they hold 1 where those of the difference hold 0."""
    b, c, confidence = np.asarray(fixed, float), np.asarray(regressed, float), _safe(confidence)
    more = added_flips(b, c, n)
    low = paired_ratio_limits(both, b, c + more.regressed, n + more.regressed, confidence=confidence).low
    high = paired_ratio_limits(both, b + more.fixed, c, n + more.fixed, confidence=confidence).high
    return Limits(low, high)


def _safe(confidence: float) -> float:
    """Return the confidence whose normal quantile is larger by `SAFETY`."""
    return float(2 * ndtr(SAFETY * ndtri((1 + confidence) / 2)) - 1)
