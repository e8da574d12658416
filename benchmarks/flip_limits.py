"""The limits of `paired.Flips` for many runs at once, without solving for them: is the truth beyond one?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pytest_qeval.stats import paired
from pytest_qeval.stats.score_limits import paired_difference_limits, paired_difference_statistic

Floats = NDArray[np.float64]

UNSEEN, ROUNDING = paired._UNSEEN, paired._ROUNDING  # noqa: SLF001 - what is measured
Z = float(norm.ppf(0.975))


def limits_beyond(
    values: Floats, counts: NDArray[np.int64], truth: float, *, whole: Floats | float = 1.0, unseen: float = UNSEEN
) -> tuple[float, float]:
    """Return how often the lower limit lies above the truth, and the upper one below it, as `paired.Flips` has them.

    Args:
        values: Differences that a problem can have, [kinds] or [runs, kinds].
        counts: Problems with each of them, [runs, kinds].
        truth: The mean difference.
        whole: The size of a whole flip, one for all runs or one for each.
        unseen: Whole flips that are added; those in use by default.
    """
    n = int(counts[0].sum()) if len(counts) else 1
    relative = values / (np.reshape(whole, (-1, 1)) if np.ndim(whole) else whole)
    moved, squares = (counts * np.abs(relative)).sum(1), (counts * relative**2).sum(1)
    step = whole * np.where(moved + unseen > 0, (squares + unseen) / np.maximum(moved + unseen, 1e-300), 1.0)
    gained, lost = ((counts * np.maximum(sign * values, 0)).sum(1) / step for sign in (1, -1))
    scaled = truth / step
    z = paired_difference_statistic(gained, lost, n, np.clip(scaled, -1, 1))
    unmoved = whole * float(paired_difference_limits(0, 0, n, confidence=0.95).high)
    value = step * (gained - lost) / n
    above = ((scaled < -1) | (z > Z)) & ((value > ROUNDING) | (-unmoved > truth))
    below = ((scaled > 1) | (z < -Z)) & ((value < -ROUNDING) | (unmoved < truth))
    return float(np.mean(above)), float(np.mean(below))
