"""Divergence from the baseline, as the report's section `divergence` and as lines of the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from pytest_qeval.measure.divergence_facts import ProblemDivergence
from pytest_qeval.report.table import align
from pytest_qeval.schema import Json, Quantity, Undefined, quantity_to_dict
from pytest_qeval.summary.results import DivergenceSummary, FlipPrediction

__all__ = ["divergence_dict", "divergence_lines"]


def divergence_dict(summary: DivergenceSummary) -> Json:
    """Return the report's form, for one recipe."""
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
    """Return value and interval."""
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
