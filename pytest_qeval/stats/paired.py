"""Two recipes on the same problems: how far they differ, and what that proves.

Paired data prove far more than two separate pass rates: only the problems that flipped carry information.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Literal

from pytest_qeval.schema import Estimate, Evidence, Quantity, Undefined
from pytest_qeval.stats.clusters import stand_alone, typical_size
from pytest_qeval.stats.flips import Flips, confidence_of_clusters, flips_of_clusters
from pytest_qeval.stats.intervals import CONFIDENCE, exact_limits, transform

NO_PAIRS = Undefined(reason="no problem was evaluated under both recipes")


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

    @classmethod
    def of(cls, outcomes: Iterable[tuple[bool, bool]]) -> PairedCounts:
        """Count pairs of outcomes, the baseline's first."""
        table = Counter(outcomes)
        return cls(
            both=table[True, True],
            regressed=table[True, False],
            fixed=table[False, True],
            neither=table[False, False],
        )

    @property
    def n(self) -> int:
        """Number of problems."""
        return self.both + self.regressed + self.fixed + self.neither

    @property
    def flips(self) -> int:
        """Number of problems whose outcome changed."""
        return self.regressed + self.fixed


def mcnemar_p(counts: PairedCounts) -> float:
    """Return the two-sided p-value of the exact McNemar test: regressed ~ Binomial(regressed + fixed, 1/2).

    The distribution is symmetric, so that this is twice the chance of so few flips of the rarer kind, and at most 1.
    """
    if not counts.flips:
        return 1.0
    from scipy.special import bdtr  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not

    return min(2 * float(bdtr(min(counts.regressed, counts.fixed), counts.flips, 0.5)), 1.0)


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values so that of those below α at most a share α is expected to be false discoveries.

    Benjamini & Hochberg (1995, "Controlling the false discovery rate", Journal of the Royal Statistical Society B
    57:289-300): the i-th smallest of m becomes the smallest pⱼ·m/j of those from j = i on, and at most 1.
    """
    found, least = [0.0] * len(p_values), 1.0
    for rank, at in reversed([*enumerate(sorted(range(len(p_values)), key=p_values.__getitem__), start=1)]):
        least = min(least, p_values[at] * len(p_values) / rank)
        found[at] = least
    return tuple(found)


def difference(counts: PairedCounts, *, confidence: float = CONFIDENCE) -> Quantity:
    """Estimate candidate minus baseline pass rate with Tango's score interval for paired proportions (1998).

    It is wider where most flips are of one kind, for few problems, and where many of them flip (`widened_limits`).
    """
    if counts.n == 0:
        return NO_PAIRS
    return Flips(counts.fixed, counts.regressed).estimate(counts.n, confidence=confidence)


def paired_mean(
    baseline: Sequence[float], candidate: Sequence[float], clusters: Sequence[str] | None = None
) -> Quantity:
    """Estimate the mean of candidate minus baseline over problems, whose rates are shares of samples that passed.

    Samples of one problem are not independent, so a problem counts once, by its difference. The interval is Tango's for
    effective flips (`Flips`). With one sample per problem the step is 1, and this is `difference`. The same holds where
    nothing differs.

    With `clusters`, one name per problem, a cluster counts once, by the sum of its differences: n / size draws of
    sums / size, where size is the clusters' `typical_size`. `benchmarks/clusters.py` measures how often a loss is
    missed.

    Raises:
        ValueError: If there are not as many rates of one as of the other, or as many clusters.
    """
    return mean_difference([own - base for base, own in zip(baseline, candidate, strict=True)], clusters)


def mean_difference(deltas: Sequence[float], clusters: Sequence[str] | None = None, *, whole: float = 1.0) -> Quantity:
    """Estimate the mean of differences, one per problem and at most `whole`, as `paired_mean` does.

    Few large clusters tell little about the spread of their sums. The normal quantile is therefore as much larger as
    Student's is for their effective number (`effective_clusters`) than for their number.

    Raises:
        ValueError: If there are not as many differences as clusters.
    """
    if clusters is not None and len(clusters) != len(deltas):
        raise ValueError(f"{len(deltas)} problems have {len(clusters)} clusters; give one name per problem")
    if not deltas:
        return NO_PAIRS
    n, mean = len(deltas), fsum(deltas) / len(deltas)
    if clusters is None or stand_alone(clusters):
        return replace(Flips.of(deltas, whole=whole).estimate(n), value=mean)
    flips, confidence = flips_of_clusters(deltas, clusters, whole), confidence_of_clusters(clusters)
    found = flips.estimate(n / typical_size(clusters), confidence=confidence)
    return replace(
        found, value=mean, n=n, confidence=CONFIDENCE, method="tango paired score, effective flips of clusters"
    )


def relative_drop(counts: PairedCounts) -> Quantity:
    """Estimate 1 − candidate / baseline pass rate with the score interval for a ratio of paired proportions.

    Tang et al. (2003); it agrees with `difference` about whether there is any drop. MOVER-R from Wilson limits was
    tried: it can contradict that, and misses more on one side than on the other where few problems flip.
    """
    if counts.n == 0:
        return NO_PAIRS
    candidate, baseline = counts.both + counts.fixed, counts.both + counts.regressed
    if baseline == 0:
        return Undefined(reason="the baseline solved no problem, so nothing can be said in relation to it")
    from pytest_qeval.stats.widened_limits import ratio_limits  # noqa: PLC0415 - it imports scipy

    limits = ratio_limits(counts.both, counts.fixed, counts.regressed, counts.n, confidence=CONFIDENCE)
    low, high = 1 - float(limits.high), 1 - float(limits.low)
    return Estimate(value=1 - candidate / baseline, low=low, high=high, n=counts.n, method="tang paired score")


def relative_drop_of_means(
    baseline: Sequence[float],
    candidate: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    verb: Literal["solved", "scored"] = "solved",
) -> Quantity:
    """Estimate 1 − candidate / baseline of mean rates or scores: `paired_mean` divided by the baseline's mean.

    The baseline's mean is treated as known; `verb` is for the reason where it is 0.

    Raises:
        ValueError: If there are not as many rates of one as of the other.
    """
    delta = paired_mean(baseline, candidate, clusters)
    if isinstance(delta, Undefined):
        return delta
    mean = sum(baseline) / len(baseline)
    if not mean:
        return Undefined(reason=f"the baseline {verb} nothing, of which a share could be lost")
    return transform(delta, lambda end: 0.0 - end / mean, method=f"{delta.method}, over the baseline's mean")


def odds_ratio(counts: PairedCounts) -> Quantity:
    """Estimate regressed / fixed, the odds that a flip is a loss, with the exact conditional interval.

    Its limits are p / (1 − p) of Clopper & Pearson's (1934) for p = regressed / (regressed + fixed); n is the number of
    flips.
    """
    if not counts.flips:
        return Undefined(reason="no problem flipped, so losses and gains have no ratio")
    least, most = exact_limits(counts.regressed / counts.flips, counts.flips)
    low = least / (1 - least)
    if counts.fixed == 0:
        return Undefined(
            reason=f"{counts.flips} regressed and none was fixed, so the odds ratio is infinite; "
            f"its 95% interval begins at {low:.2g}"
        )
    ratio, high = counts.regressed / counts.fixed, most / (1 - most)
    return Estimate(value=ratio, low=low, high=high, n=counts.flips, method="clopper-pearson of the flips")


def evidence_of(delta: Quantity, *, margin: float) -> Evidence:
    """Return what the interval of candidate − baseline proves.

    worse: even its upper end lies below −margin. not worse: even its lower end lies above −margin (non-inferior).
    """
    if isinstance(delta, Undefined) or delta.low is None or delta.high is None:
        return "unproven"
    if delta.high < -margin:
        return "worse"
    return "not worse" if delta.low > -margin else "unproven"
