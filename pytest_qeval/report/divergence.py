"""What a teacher-forced comparison says: means with intervals, extremes, and whether divergence foretells flips."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence
from pytest_qeval.report.table import align
from pytest_qeval.results import DivergenceSummary, FlipPrediction
from pytest_qeval.schema import Estimate, Json, Quantity, Undefined, quantity_to_dict
from pytest_qeval.stats.intervals import ratio_of_sums

__all__ = ["divergence_dict", "divergence_lines", "summarise_divergence"]

_WORST = 5


def summarise_divergence(
    facts: DivergenceFacts, flips: Collection[str] | None, *, compared: Collection[str] | None = None
) -> DivergenceSummary:
    """Conclude from the sums of each problem; intervals come from drawing problems again.

    Args:
        facts: What was measured.
        flips: Task ids that regressed or were fixed; None when nothing was generated.
        compared: Task ids with an outcome under both recipes; None for all of `facts`.
    """
    problems = facts.problems
    judged = problems if compared is None else [problem for problem in problems if problem.task_id in compared]
    lost = _per_token(problems, lambda problem: problem.baseline_log_prob - problem.candidate_log_prob)
    diverging = [problem for problem in problems if problem.kl > 0]
    return DivergenceSummary(
        facts=facts,
        kl=_per_token(problems, lambda problem: problem.kl),
        reverse_kl=_per_token(problems, lambda problem: problem.reverse_kl),
        same_top1=_per_token(problems, lambda problem: problem.same_top1),
        delta_p=_per_token(problems, lambda problem: problem.delta_p),
        rms_delta_p=_mapped(_per_token(problems, lambda problem: problem.delta_p_squared), math.sqrt),
        perplexity_ratio=_mapped(lost, math.exp),
        worst=tuple(sorted(diverging, key=lambda problem: -problem.mean_kl)[:_WORST]),
        prediction=_prediction(judged, flips),
    )


def divergence_dict(summary: DivergenceSummary) -> Json:
    """Give the report's form, for one recipe."""
    facts, prediction = summary.facts, summary.prediction
    return {
        "baseline": facts.baseline,
        "benchmark": facts.benchmark,
        "k": facts.k,
        "tokens": facts.tokens,
        "incomparable": facts.incomparable,
        "duration_s": facts.duration_s,
        **{name: quantity_to_dict(quantity) for name, quantity in summary.means.items()},
        "kl_percentiles": dict(facts.kl_percentiles),
        "delta_p_percentiles": dict(facts.delta_p_percentiles),
        "worst": [problem.task_id for problem in summary.worst],
        "problems": {problem.task_id: _sums(problem) for problem in facts.problems},
        "flips": {
            "spearman": quantity_to_dict(prediction.spearman),
            "p": prediction.p,
            "auc": quantity_to_dict(prediction.auc),
            "flipped": prediction.flipped,
        },
    }


def divergence_lines(summary: DivergenceSummary) -> Iterator[str]:
    """Yield what fits on a screen: eight lines, or nine where problems had to be left out."""
    facts = summary.facts
    yield (
        f"divergence of {facts.recipe} from {facts.baseline}: {facts.tokens} tokens of "
        f"{len(facts.problems)} {facts.benchmark} solutions"
    )
    if facts.incomparable:
        yield f"  {facts.incomparable} left out: other tokens than the baseline's, or no room in the context"
    if not facts.problems:
        return
    yield from align(_rows(summary))
    kl = facts.kl_percentiles
    spread = " · ".join(f"{label} {kl[name]:.2g}" for name, label in _SHOWN.items())
    yield f"  KL of tokens: {spread}; all but the {facts.k} likeliest tokens count as one"
    worst = ", ".join(f"{problem.task_id} ({problem.mean_kl:.2g})" for problem in summary.worst)
    yield f"  largest KL: {worst or 'none, nothing diverges'}"
    yield f"  {_foretelling(summary.prediction)}"


_SHOWN: Mapping[str, str] = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max"}


def _rows(summary: DivergenceSummary) -> list[list[str]]:
    return [
        [
            "  KL, nats per token",
            *_cells(summary.kl, "{:.3g}"),
            "reverse",
            *_cells(summary.reverse_kl, "{:.3g}"),
        ],
        [
            "  same top-1",
            *_cells(summary.same_top1, "{:.2%}"),
            "perplexity ×",
            *_cells(summary.perplexity_ratio, "{:.4f}"),
        ],
        ["  mean Δp", *_cells(summary.delta_p, "{:+.3%}"), "RMS Δp", *_cells(summary.rms_delta_p, "{:.2%}")],
    ]


def _cells(quantity: Quantity, form: str) -> tuple[str, str]:
    """Give value and interval."""
    if isinstance(quantity, Undefined):
        return "–", quantity.reason
    low, high = quantity.low, quantity.high
    interval = "" if low is None or high is None else f"[{form.format(low)}, {form.format(high)}]"
    return form.format(quantity.value).replace("-", "−"), interval.replace("-", "−")


def _foretelling(prediction: FlipPrediction) -> str:
    spearman, auc = prediction.spearman, prediction.auc
    if isinstance(spearman, Undefined) or isinstance(auc, Undefined) or prediction.p is None:
        return f"KL and flips: {spearman.reason if isinstance(spearman, Undefined) else '–'}"
    return (
        f"KL and flips: Spearman {spearman.value:+.2f} (p = {prediction.p:.2g}), AUC {auc.value:.2f}; "
        f"{prediction.flipped} of {spearman.n} problems flipped"
    ).replace("-", "−")


def _sums(problem: ProblemDivergence) -> Json:
    row = asdict(problem)
    del row["task_id"]
    return row


def _per_token(problems: Sequence[ProblemDivergence], total: Callable[[ProblemDivergence], float]) -> Quantity:
    return ratio_of_sums([total(problem) for problem in problems], [problem.tokens for problem in problems])


def _mapped(quantity: Quantity, increasing: Callable[[float], float]) -> Quantity:
    """Carry an estimate and its interval through an increasing function, under which percentiles stay percentiles."""
    if isinstance(quantity, Undefined):
        return quantity
    low, high = (None if end is None else increasing(end) for end in (quantity.low, quantity.high))
    return replace(quantity, value=increasing(quantity.value), low=low, high=high)


def _prediction(problems: Sequence[ProblemDivergence], flips: Collection[str] | None) -> FlipPrediction:
    """Correlate; with so few values of one side, both figures are functions of the same ranks."""
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
