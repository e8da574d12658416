"""The limits of `flips.Flips` for many runs at once, without solving for them: is the truth beyond one?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pytest_qeval.stats import flips as in_use
from pytest_qeval.stats.intervals import CONFIDENCE
from pytest_qeval.stats.widened_limits import difference_limits, difference_statistics

Floats = NDArray[np.float64]

UNSEEN, INEXACT, ROUNDING = in_use._UNSEEN, in_use._INEXACT, in_use._ROUNDING  # noqa: SLF001 - what is measured
Z = float(norm.ppf(0.975))


def limits_beyond(
    values: Floats, counts: NDArray[np.int64], truth: float, *, whole: Floats | float = 1.0, unseen: float = UNSEEN
) -> tuple[float, float]:
    """Return how often the lower limit lies above the truth, and the upper one below it, as `flips.Flips` has them.

    Args:
        values: Differences that a problem can have, [kinds] or [runs, kinds].
        counts: Problems with each of them, [runs, kinds].
        truth: The mean difference.
        whole: The size of a whole flip, one for all runs or one for each.
        unseen: Whole flips that are added; those in use by default.
    """
    n = int(counts[0].sum()) if len(counts) else 1
    relative = values / (np.reshape(whole, (-1, 1)) if np.ndim(whole) else whole)
    squares, cubes = ((counts * np.abs(relative) ** power).sum(1) for power in (2, 3))
    step = np.where(squares + unseen > 0, (cubes + unseen) / np.maximum(squares + unseen, 1e-300), 1.0)
    surplus = (counts * relative).sum(1) / step
    flips, step = np.maximum(squares / step**2, np.abs(surplus)), step * whole
    gained, lost, scaled = (flips + surplus) / 2, (flips - surplus) / 2, truth / step
    least = np.where(step == whole, 0.0, INEXACT)
    z = difference_statistics(gained, lost, n, np.clip(scaled, -1, 1), least=least)
    unmoved = whole * float(difference_limits(0, 0, n, confidence=CONFIDENCE).high)
    value = step * (gained - lost) / n
    above = ((scaled < -1) | (z.low > Z)) & ((value > ROUNDING) | (-unmoved > truth))
    below = ((scaled > 1) | (z.high < -Z)) & ((value < -ROUNDING) | (unmoved < truth))
    return float(np.mean(above)), float(np.mean(below))
