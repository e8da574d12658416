"""Scores between 0 and 1, one per problem: their mean, and what the differences between two recipes prove.

The interval of a mean difference is `paired.paired_mean`. `benchmarks/scores.py` measures how often it and that of
`mean_score` cover the truth, beside Student's t and a percentile bootstrap.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import fsum, sqrt
from statistics import NormalDist, fmean

from pytest_qeval.schema import Estimate, Quantity
from pytest_qeval.stats.clusters import cluster_sums
from pytest_qeval.stats.flips import Flips
from pytest_qeval.stats.intervals import CONFIDENCE, NO_PROBLEM, mean_of_problems
from pytest_qeval.stats.power import detectable_drop

_RESAMPLES = 9999
_ROUNDING = 1e-12
"""Smaller variances are those of equal values; sums that differ by less, as a share of their terms, are equal."""
_BATCH = 500
_MANY = 1000
"""Differences from which on random signs take more than a second, and the sum is normal to good approximation."""


def mean_score(values: Sequence[float], clusters: Sequence[str] | None = None) -> Quantity:
    """Estimate the mean of scores between 0 and 1, one per problem, with Wilson's interval for their effective number.

    The values vary less than outcomes of 0 and 1 with the same mean m would: as much as those of n·m(1 − m) / s²
    problems. This number replaces n in Wilson's interval (1927), and Student's quantile replaces the normal one.
    Scores of sentences are skewed, for which it covers better than t or a percentile bootstrap. Equal scores have the
    interval of `mean_of_problems`.

    With `clusters`, one name per value, s² is of the sums Σ(xᵢ − m) over the G clusters: G / (G − 1) times the sum of
    their squares, over n. Student's degrees of freedom are G − 1.
    """
    if not values:
        return NO_PROBLEM
    n, mean = len(values), fmean(values)
    names: Sequence[Hashable] = range(n) if clusters is None else clusters
    sums = cluster_sums([value - mean for value in values], names)
    draws = len(sums)
    spread = draws / (draws - 1) * fsum(total * total for total in sums) / n if draws > 1 else 0.0
    if spread < _ROUNDING or not 0 < mean < 1:
        return mean_of_problems(values, clusters)
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not

    z = float(stdtrit(draws - 1, (1 + CONFIDENCE) / 2))
    weight = z * z * spread / (n * mean * (1 - mean))
    centre = (mean + weight / 2) / (1 + weight)
    reach = sqrt(weight * (mean * (1 - mean) + weight / 4)) / (1 + weight)
    low, high = max(centre - reach, 0.0), min(centre + reach, 1.0)
    return Estimate(value=mean, low=low, high=high, n=n, method="wilson, effective sample size")


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of a mean difference of 0, by a sign-flip permutation test.

    If the recipe changed nothing but chance, each difference could as well have had the other sign (Fisher, 1935). The
    test takes all 2ⁿ assignments of signs if there are no more than 9,999, else that many at random, seeded, and the
    one found (Phipson & Smyth, 2010, "Permutation p-values should never be zero"). For 1,000 differences or more it
    takes the normal limit, z = Σd / √Σd². The test is about the mean, as the interval is; Wilcoxon's ranks are not.
    Differences of 0 change nothing and are left out.
    """
    moved = [difference for difference in differences if difference]
    if len(moved) < 2:  # noqa: PLR2004 - a single one is as far from 0 with either sign
        return 1.0
    if len(moved) >= _MANY:
        z = sum(moved) / sqrt(sum(difference * difference for difference in moved))
        return 2 * NormalDist().cdf(-abs(z))
    import numpy as np  # noqa: PLC0415 - comes with scipy

    values = np.asarray(moved)
    found = abs(values.sum()) - _ROUNDING * np.abs(values).sum()  # equal sums may differ in their last digits
    if 2 ** len(moved) <= _RESAMPLES:
        signs = 1 - 2 * (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1)
        return float(np.mean(np.abs(signs @ values) >= found))
    rng, as_far = np.random.default_rng(0), 1
    for start in range(0, _RESAMPLES, _BATCH):
        signs = rng.choice((-1.0, 1.0), size=(min(_BATCH, _RESAMPLES - start), len(moved)))
        as_far += int(np.sum(np.abs(signs @ values) >= found))
    return as_far / (_RESAMPLES + 1)


def detectable_score_drop(differences: Sequence[float]) -> float | None:
    """Return the smallest loss that as many problems, moving as far as these, can rule out.

    This is `power.detectable_drop` for their effective flips (`flips.Flips`). None if nothing moved: then the size of
    a move is unknown.
    """
    if not any(differences):
        return None
    n, flips = len(differences), Flips.of(differences)
    discordance = min(max(flips.fixed + flips.regressed, 1.0) / n, 1.0)
    return flips.step * detectable_drop(n, discordance=discordance)
