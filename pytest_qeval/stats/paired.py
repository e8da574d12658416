"""Two recipes on the same problems: how far they differ, and what that proves.

Paired data are far more telling than two separate pass rates: only the problems that flipped carry information.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from pytest_qeval.schema import Estimate, Quantity, Undefined

__all__ = ["Evidence", "PairedCounts", "detectable_drop", "difference", "evidence_of", "mcnemar_p"]

Evidence = Literal["worse", "not worse", "unproven"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedCounts:
    """Outcomes of the same problems under baseline and candidate."""

    both: int
    """Solved by both."""
    regressed: int
    """Solved by the baseline only."""
    fixed: int
    """Solved by the candidate only."""
    neither: int

    @property
    def n(self) -> int:
        """Number of problems."""
        return self.both + self.regressed + self.fixed + self.neither


def mcnemar_p(counts: PairedCounts) -> float:
    """Give the two-sided p-value of the exact McNemar test: regressed ~ Binomial(regressed + fixed, 1/2)."""
    flips = counts.regressed + counts.fixed
    if flips == 0:
        return 1.0
    from scipy.stats import binomtest  # noqa: PLC0415 - scipy.stats takes half a second, which an inert plugin must not

    return float(binomtest(counts.regressed, flips, 0.5).pvalue)


def difference(counts: PairedCounts, *, confidence: float = 0.95) -> Quantity:
    """Estimate candidate minus baseline pass rate with Newcombe's score interval for paired proportions.

    Method 10 of Newcombe (1998), "Improved confidence intervals for the difference between binomial proportions based
    on paired data", Statistics in Medicine 17: Wilson limits of both rates, joined by their correlation φ (with his
    continuity-corrected numerator).
    """
    n = counts.n
    if n == 0:
        return Undefined(reason="no problem was evaluated under both recipes")
    candidate, baseline = counts.both + counts.fixed, counts.both + counts.regressed
    p1, low1, high1 = _wilson(candidate, n, confidence)
    p2, low2, high2 = _wilson(baseline, n, confidence)
    phi = _phi(counts)
    delta = p1 - p2

    def half(d1: float, d2: float) -> float:
        return sqrt(max(0.0, d1 * d1 - 2 * phi * d1 * d2 + d2 * d2))

    return Estimate(
        value=delta,
        low=max(-1.0, delta - half(p1 - low1, high2 - p2)),
        high=min(1.0, delta + half(high1 - p1, p2 - low2)),
        n=n,
        method="newcombe paired score",
        confidence=confidence,
    )


def _wilson(successes: int, n: int, confidence: float) -> tuple[float, float, float]:
    from scipy.stats import binomtest  # noqa: PLC0415 - as above

    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return successes / n, float(interval.low), float(interval.high)


def _phi(counts: PairedCounts) -> float:
    both, neither, n = counts.both, counts.neither, counts.n
    candidate, baseline = both + counts.fixed, both + counts.regressed
    margins = candidate * (n - candidate) * baseline * (n - baseline)
    if margins == 0:
        return 0.0
    cross = float(both * neither - counts.regressed * counts.fixed)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)
    return cross / sqrt(margins)


def detectable_drop(n: int, *, discordance: float = 0.08, power: float = 0.8, alpha: float = 0.05) -> float:
    """Give the smallest margin that n paired problems can prove not to be exceeded, as a fraction.

    margin = (z(1 − α) + z(power)) · √(discordance / n): the normal approximation for a one-sided non-inferiority test
    when nothing was lost, with `discordance` the share of problems whose outcome flips (8 % is typical for int8).

    >>> round(detectable_drop(164), 3)
    0.055
    """
    from scipy.stats import norm  # noqa: PLC0415 - as above

    return float((norm.ppf(1 - alpha) + norm.ppf(power)) * sqrt(discordance / n))


def evidence_of(delta: Quantity, *, margin: float) -> Evidence:
    """Say what the interval of candidate − baseline proves.

    worse: even its upper end lies below −margin. not worse: even its lower end lies above −margin (non-inferior).
    """
    if isinstance(delta, Undefined) or delta.low is None or delta.high is None:
        return "unproven"
    if delta.high < -margin:
        return "worse"
    return "not worse" if delta.low > -margin else "unproven"
