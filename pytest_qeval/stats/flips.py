"""Differences of problems as flips of one size, to which score limits apply."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt
from typing import NamedTuple

from pytest_qeval.schema import Estimate
from pytest_qeval.stats.clusters import cluster_sums, effective_clusters, typical_size
from pytest_qeval.stats.intervals import CONFIDENCE, Z

_UNSEEN = 3
"""Whole flips that may not have been seen, see `Flips`. Without them, "not worse" is wrong in up to 22 % of runs with
ten samples, as `benchmarks/error_rates.py` finds."""
_INEXACT = 0.5
"""More flips for each end of an interval whose flips are not whole ones. Found by the same search."""
_ROUNDING = 1e-12
_MOST = 1 - 1e-12
"""Confidence of the widest interval whose quantile can be computed."""


class Flips(NamedTuple):
    """Differences dᵢ of problems as effective flips of one size s: Σdᵢ / s more of one kind, Σ(dᵢ / s)² in all.

    With F the size of a whole flip, s = F · (Σ|dᵢ/F|³ + 3) / (Σ(dᵢ/F)² + 3): these flips have the sum of the dᵢ, their
    spread, and nearly the skewness of rare large ones among many small ones. Limits for flips apply to them, scaled by
    s. Where all dᵢ are whole flips, or none differs, s is F, and they are the flips themselves.

    The three whole flips that are added stand for what has not been seen. Without them, a few small differences would
    pass for proof that larger ones do not occur. For the same reason a candidate that lost something, however little,
    never proves more than one that lost nothing. `benchmarks/error_rates.py` searches how often a loss is missed at
    worst.
    """

    fixed: float
    regressed: float
    step: float = 1.0
    whole: float = 1.0
    """The size of a whole flip, the largest that a problem can have."""

    @classmethod
    def of(cls, deltas: Sequence[float], *, whole: float = 1.0) -> Flips:
        """Convert candidate minus baseline; see `whole`."""
        squares = fsum((delta / whole) ** 2 for delta in deltas)
        step = (fsum(abs(delta / whole) ** 3 for delta in deltas) + _UNSEEN) / (squares + _UNSEEN)
        return cls.with_moments(fsum(deltas) / whole, squares, step, whole=whole)

    @classmethod
    def with_moments(cls, total: float, squares: float, step: float, *, whole: float = 1.0) -> Flips:
        """Return flips with a sum and a sum of squares, all three in whole flips; at least as many as make the sum."""
        surplus = total / step
        flips = max(squares / step**2, abs(surplus))
        return cls(fixed=(flips + surplus) / 2, regressed=(flips - surplus) / 2, step=whole * step, whole=whole)

    def estimate(self, n: float, *, confidence: float = CONFIDENCE) -> Estimate:
        """Estimate the mean difference over n problems, or as many draws, with widened score limits."""
        from pytest_qeval.stats.widened_limits import difference_limits  # noqa: PLC0415 - it imports scipy

        exact = self.step == self.whole
        least = 0.0 if exact else _INEXACT
        limits = difference_limits(self.fixed, self.regressed, n, confidence=confidence, least=least)
        low, high = self.step * float(limits.low), self.step * float(limits.high)
        value = self.step * (self.fixed - self.regressed) / n
        if not exact:
            unmoved = self.whole * float(difference_limits(0, 0, n, confidence=confidence).high)
            # Sums of tenths that cancel out differ from 0 by rounding.
            low = min(low, -unmoved) if value <= _ROUNDING else low
            high = max(high, unmoved) if value >= -_ROUNDING else high
        return Estimate(
            value=value,
            low=low,
            high=high,
            n=round(n),
            method="tango paired score" if exact else "tango paired score, effective flips",
            confidence=confidence,
        )


def flips_of_clusters(deltas: Sequence[float], clusters: Sequence[str], whole: float) -> Flips:
    """Convert differences to flips of as many draws as clusters of the typical size F would be, D = n / F.

    The sums S of clusters are spread around m·δ by their numbers m of problems, while flips are spread around δ. Where
    sizes differ, flips therefore get the squares that make their spread Σ(S − m·δ)² / F²; and their size is such that
    there are no more of them than draws.
    """
    size = typical_size(clusters) * whole
    mean, draws = fsum(deltas) / len(deltas) / whole, len(deltas) * whole / size
    sums, members = (
        [total / size for total in cluster_sums(values, clusters)] for values in (deltas, [whole] * len(deltas))
    )
    spread = fsum((total - count * mean) ** 2 for total, count in zip(sums, members, strict=True))
    squares = max(fsum(total * total for total in sums), spread + draws * mean * mean)
    step = max(Flips.of(sums).step, sqrt(squares / draws), abs(mean))
    return Flips.with_moments(fsum(sums), squares, step, whole=whole)


def confidence_of_clusters(clusters: Sequence[str]) -> float:
    """Return the confidence whose normal quantile is larger, by Student's for the effective number of clusters."""
    from scipy.special import ndtr, stdtrit  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not

    few, many = (
        float(stdtrit(max(count - 1, 1.0), (1 + CONFIDENCE) / 2))
        for count in (effective_clusters(clusters), len(set(clusters)))
    )
    return min(float(2 * ndtr(Z * few / many) - 1), _MOST)
