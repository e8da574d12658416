"""Divergence from the baseline: the report's section `divergence`, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_qeval.errors import counted
from pytest_qeval.report.plain import to_plain, without
from pytest_qeval.report.text import Line, table, value_and_interval
from pytest_qeval.schema import Json, Undefined
from pytest_qeval.summary.divergence import DivergenceSummary, FlipPrediction

_PERCENTILES: Mapping[str, str] = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max"}
_ROWS = (
    (("KL, nats per token", "kl", "{:.3g}"), ("reverse", "reverse_kl", "{:.3g}")),
    (("same top-1", "same_top1", "{:.2%}"), ("perplexity ×", "perplexity_ratio", "{:.4f}")),
    (("mean Δp", "delta_p", "{:+.3%}"), ("RMS Δp", "rms_delta_p", "{:.2%}")),
)
"""Label, mean and format, two to a row."""


def divergence_dict(summary: DivergenceSummary) -> Json:
    """Return the report's form, for one recipe."""
    facts, prediction = summary.facts, summary.prediction
    return {
        "baseline": facts.baseline,
        "benchmark": facts.benchmark,
        "texts": facts.texts,
        "k": facts.k,
        "listed": facts.listed,
        "unlisted_share": facts.unlisted_share,
        "tokens": facts.tokens,
        "incomparable": facts.incomparable,
        "duration_s": facts.duration_s,
        **to_plain(summary.means),
        "floor": to_plain(summary.floor),
        "kl_percentiles": dict(facts.kl_percentiles),
        "delta_p_percentiles": dict(facts.delta_p_percentiles),
        "worst": [problem.task_id for problem in summary.worst],
        "problems": {problem.task_id: without(problem, "task_id") for problem in facts.problems},
        "flips": to_plain(prediction),
    }


def divergence_lines(summary: DivergenceSummary) -> Iterator[Line]:
    """Yield eight lines, and one more each where problems were left out, for a server, and with a control."""
    facts = summary.facts
    yield Line(
        f"divergence of {facts.recipe} from {facts.baseline}: {counted(facts.tokens, 'token')} of "
        f"{counted(len(facts.problems), f'{facts.benchmark} {facts.texts[:-1]}')}"
    )
    if facts.incomparable:
        why = "tokenized differently than for the baseline, or too long for the context"
        yield Line(f"  {facts.incomparable} left out: {why}")
    if not facts.problems:
        return
    yield from table([_row(summary, *pair) for pair in _ROWS])
    kl = facts.kl_percentiles
    spread = " · ".join(f"{label} {kl[name]:.2g}" for name, label in _PERCENTILES.items())
    yield Line(f"  KL of tokens: {spread}")
    yield Line(
        f"  both KL are lower bounds: tokens beyond the {facts.k} likeliest count as one, by which the reverse one may "
        "lose half"
    )
    if facts.listed is not None:
        share = f"{facts.unlisted_share:.2%} of the baseline's probability is on others, which count as one, too"
        yield Line(f"  the engine lists {facts.listed} tokens at a time: {share}")
    if summary.floor is not None:
        own, interval = value_and_interval(summary.floor, "{:.3g}".format, interval="[{}, {}]")
        yield Line(f"  KL of {facts.baseline} from itself, in the control: {own} {interval}")
    worst = ", ".join(f"{problem.task_id} ({problem.mean_kl:.2g})" for problem in summary.worst)
    yield Line(f"  largest KL: {worst or 'none, nothing diverges'}")
    yield Line(f"  KL and flips: {_describe_prediction(summary.prediction)}")


def _row(summary: DivergenceSummary, *cells: tuple[str, str, str]) -> list[str]:
    (first, *_), (second, *_) = cells
    own, other = (value_and_interval(summary.means[name], form.format, interval="[{}, {}]") for _, name, form in cells)
    return [f"  {first}", *own, second, *other]


def _describe_prediction(prediction: FlipPrediction) -> str:
    spearman, auc = prediction.spearman, prediction.auc
    if isinstance(spearman, Undefined):
        return spearman.reason
    if isinstance(auc, Undefined) or prediction.p is None:
        return "–"
    return (
        f"Spearman {spearman.value:+.2f} (p = {prediction.p:.2g}), AUC {auc.value:.2f}; "
        f"{prediction.flipped} of {spearman.n} problems flipped"
    ).replace("-", "−")
