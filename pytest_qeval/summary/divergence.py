"""Conclusions from teacher-forced divergence: means with intervals, extremes, and whether it predicts flips."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence
from pytest_qeval.schema import Case, Estimate, Quantity, Undefined
from pytest_qeval.stats.intervals import mean_of_problems, ratio_of_positive_sums, ratio_of_sums, transform
from pytest_qeval.summary.clusters import Clusters, each_alone

_WORST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipPrediction:
    """Whether the problems whose outcome changed are those whose solutions diverge most."""

    spearman: Quantity
    """Rank correlation of a problem's mean KL with whether it flipped, -1 to 1."""
    p: float | None
    """Two-sided, of no correlation; None where there is no correlation."""
    auc: Quantity
    """Chance that a flipped problem diverges more than an unflipped one, ties half: 0.5 predicts nothing."""
    flipped: int | None
    """Problems, regressed or fixed; None when nothing was generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceSummary:
    """A candidate against its baseline over given solutions; every token weighs the same."""

    facts: DivergenceFacts
    means: Mapping[str, Quantity]
    """By the names of reports and gates.

    kl: KL(baseline ‖ candidate) in nats per token; like reverse_kl a lower bound, since rare tokens are merged.
    same_top1: share of tokens whose likeliest choice stayed the same. delta_p: candidate minus baseline probability of
    the solution's token; rms_delta_p: its root mean square. perplexity_ratio: candidate to baseline, of the solutions
    after their prompts; above 1 the candidate finds them less likely.
    """
    worst: tuple[ProblemDivergence, ...]
    """Those with the largest mean KL, at most five, the largest first; none that does not diverge."""
    prediction: FlipPrediction
    floor: Quantity | None = None
    """The KL of the baseline from itself, in its second run; None without a control, and of the control itself."""


def with_floors(found: Mapping[str, DivergenceSummary], control: str | None) -> Mapping[str, DivergenceSummary]:
    """Set the divergence of the control, the baseline's second run, beside that of all others."""
    if control is None or control not in found:
        return found
    floor = found[control].means["kl"]
    return {name: one if name == control else replace(one, floor=floor) for name, one in found.items()}


def summarize_divergence(
    facts: DivergenceFacts,
    flips: Collection[str] | None,
    *,
    compared: Collection[str] | None = None,
    clusters: Clusters = each_alone,
) -> DivergenceSummary:
    """Summarize the sums of each problem, with intervals over problems.

    What has a sign gets those of a bootstrap; what is at least 0 is skewed, and gets those of `ratio_of_positive_sums`.

    Args:
        facts: What was measured.
        flips: Task ids that regressed or were fixed; None when nothing was generated.
        compared: Task ids with an outcome under both recipes; None for all of `facts`.
        clusters: What the problems share; a cluster counts as one draw.
    """
    problems = facts.problems
    with_outcomes = problems if compared is None else [problem for problem in problems if problem.task_id in compared]
    of = _OverProblems(problems, [clusters(Case(benchmark=facts.benchmark, task_id=one.task_id)) for one in problems])
    lost = of.signed(lambda problem: problem.baseline_log_prob - problem.candidate_log_prob)
    others = of.positive(lambda problem: problem.tokens - problem.same_top1)
    diverging = [problem for problem in problems if problem.kl > 0]
    return DivergenceSummary(
        facts=facts,
        means={
            "kl": _certain_zero(of.positive(lambda problem: problem.kl)),
            "reverse_kl": _certain_zero(of.positive(lambda problem: problem.reverse_kl)),
            "same_top1": of.whole_share(transform(others, _other_share)),
            "delta_p": of.signed(lambda problem: problem.delta_p),
            "rms_delta_p": transform(of.positive(lambda problem: problem.delta_p_squared), math.sqrt),
            "perplexity_ratio": transform(lost, math.exp),
        },
        worst=tuple(sorted(diverging, key=lambda problem: -problem.mean_kl)[:_WORST]),
        prediction=_prediction(with_outcomes, flips),
    )


@dataclass(frozen=True, slots=True)
class _OverProblems:
    """Means per token over problems, which may share something."""

    problems: Sequence[ProblemDivergence]
    clusters: Sequence[str]

    def signed(self, total: Callable[[ProblemDivergence], float]) -> Quantity:
        return ratio_of_sums(*self._sums(total), self.clusters)

    def positive(self, total: Callable[[ProblemDivergence], float]) -> Quantity:
        return ratio_of_positive_sums(*self._sums(total), self.clusters)

    def whole_share(self, share: Quantity) -> Quantity:
        """Return the exact interval for as many problems where the share is all or none of each one's tokens."""
        if isinstance(share, Undefined) or share.low is not None or share.value not in {0.0, 1.0}:
            return share
        pairs = zip(self.problems, self.clusters, strict=True)
        return mean_of_problems([share.value] * share.n, [name for problem, name in pairs if problem.tokens])

    def _sums(self, total: Callable[[ProblemDivergence], float]) -> tuple[list[float], list[float]]:
        return [total(problem) for problem in self.problems], [problem.tokens for problem in self.problems]


def _other_share(share: float) -> float:
    return max(1 - share, 0.0)


def _certain_zero(divergence: Quantity) -> Quantity:
    """Return the interval 0 to 0 for a divergence of 0 in every problem: both models computed the same numbers."""
    if isinstance(divergence, Undefined) or divergence.value or divergence.low is not None:
        return divergence
    return replace(divergence, low=0.0, high=0.0, method="no token diverges")


def _prediction(problems: Sequence[ProblemDivergence], flips: Collection[str] | None) -> FlipPrediction:
    """Correlate mean KL with flips; both figures are functions of the same ranks."""
    flipped = None if flips is None else [problem.task_id in flips for problem in problems]
    n_flipped = None if flipped is None else sum(flipped)
    reason = _why_no_prediction(problems, flipped)
    if flipped is None or n_flipped is None or reason:
        undefined = Undefined(reason=reason)
        return FlipPrediction(spearman=undefined, p=None, auc=undefined, flipped=n_flipped)
    from scipy.stats import rankdata, spearmanr  # noqa: PLC0415 - scipy.stats takes half a second

    kl = [problem.mean_kl for problem in problems]
    found = spearmanr(kl, flipped)
    ranks = sum(float(rank) for rank, flips_here in zip(rankdata(kl), flipped, strict=True) if flips_here)
    above = ranks - n_flipped * (n_flipped + 1) / 2
    return FlipPrediction(
        spearman=_plain(float(found.statistic), len(kl), "Spearman's rank correlation"),
        p=float(found.pvalue),
        auc=_plain(above / (n_flipped * (len(kl) - n_flipped)), len(kl), "Mann-Whitney U"),
        flipped=n_flipped,
    )


def _why_no_prediction(problems: Sequence[ProblemDivergence], flipped: Sequence[bool] | None) -> str:
    if flipped is None:
        return "nothing was generated"
    if not any(flipped):
        return "no problem flipped"
    if all(flipped):
        return "every problem flipped"
    if len({problem.mean_kl for problem in problems}) == 1:
        return "all problems diverge equally"
    return ""


def _plain(value: float, n: int, method: str) -> Estimate:
    return Estimate(value=value, low=None, high=None, n=n, method=method)
