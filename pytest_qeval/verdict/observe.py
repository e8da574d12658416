"""What a gate can be about: the table of metrics, and where the summary has the number of each.

A further metric is one entry in `METRICS` and one look-up in `observe`; grammar, checks and documentation follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pytest_qeval.results import Comparison, Efficiency, Percentiles, Summary
from pytest_qeval.robust_results import ALL
from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.score_results import ScoreComparison, ScoreResult

if TYPE_CHECKING:  # `gates` reads the table: the other way round there would be a cycle
    from pytest_qeval.verdict.gates import Gate

__all__ = ["METRICS", "Form", "Metric", "gate_table", "observe"]

Form = Literal["value", "drop", "relative_drop", "increase", "ratio"]
"""value: the candidate's own. drop: baseline minus candidate. increase: the other way round. relative_drop:
1 − candidate / baseline, a drop in per cent. ratio: candidate over baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing that a gate can be about."""

    name: str
    """As in an expression; `@K` stands for `@1`, `@10` and so on."""
    help: str
    forms: tuple[Form, ...]
    units: tuple[str, ...] = ()
    """Of a share from 0 to 1; empty for everything else."""
    per_benchmark: bool = False
    """Whether every benchmark has its own number; otherwise the run has one."""
    needs_baseline: bool = False
    """Whether even the candidate's own value comes from a comparison."""
    needs_cases: bool = True
    """Whether a case that was not asked, or whose answer was lost, leaves the number unknown."""
    of_disturbed: bool = False
    """Whether it belongs to disturbed problems."""
    of_scores: bool = False
    """Whether it belongs to benchmarks whose answers are scored, and not to those whose answers are executed."""


_LEFT_OUT = 0.05
"""Share of solutions that a divergence may leave out and still speak for all."""
_COST: tuple[Form, ...] = ("value", "ratio")
_ENTRIES = (
    Metric(
        name="pass@K",
        help="share of problems solved with K tries",
        forms=("value", "drop", "relative_drop"),
        units=("pt", "%"),
        per_benchmark=True,
    ),
    Metric(
        name="regressed",
        help="number of problems that the baseline solved and the candidate did not",
        forms=("value",),
        per_benchmark=True,
        needs_baseline=True,
    ),
    *(
        Metric(
            name=name,
            help=f"mean {what} of sentences that say what code does",
            forms=("value", "drop", "relative_drop"),
            units=("pt", "%"),
            per_benchmark=True,
            of_scores=True,
        )
        for name, what in (("bleu", "smoothed BLEU-4"), ("chrf", "chrF"))
    ),
    Metric(
        name="robust_drop",
        help="share of the solved problems that is lost when they are disturbed (suite robustness)",
        forms=("value", "increase"),
        units=("pt", "%"),
        per_benchmark=True,
        of_disturbed=True,
    ),
    Metric(
        name="robust_pass",
        help="share of problems that are solved however they are disturbed (suite robustness)",
        forms=("value", "drop"),
        units=("pt", "%"),
        per_benchmark=True,
        of_disturbed=True,
    ),
    Metric(
        name="kl",
        help="mean Kullback-Leibler divergence KL(baseline ‖ candidate), nats per token",
        forms=("value",),
        needs_baseline=True,
        needs_cases=False,
    ),
    Metric(
        name="reverse_kl",
        help="mean Kullback-Leibler divergence KL(candidate ‖ baseline), nats per token",
        forms=("value",),
        needs_baseline=True,
        needs_cases=False,
    ),
    Metric(
        name="same_top1",
        help="share of tokens whose most likely choice is the baseline's",
        forms=("value",),
        units=("pt", "%"),
        needs_baseline=True,
        needs_cases=False,
    ),
    Metric(name="throughput", help="generated tokens per second of the whole batch", forms=_COST),
    Metric(name="single_stream", help="median seconds per token of a single stream", forms=_COST, needs_cases=False),
    Metric(name="prefill", help="median seconds to read a single stream's prompt", forms=_COST, needs_cases=False),
    Metric(name="energy", help="watt-hours of generating", forms=_COST),
    Metric(name="peak_memory", help="highest resident size of the process in bytes", forms=_COST),
    Metric(name="model_bytes", help="bytes of the model's weights in memory", forms=_COST, needs_cases=False),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ENTRIES}


def gate_table() -> tuple[str, ...]:
    """Give the metrics as rows of a Markdown table, head included."""
    forms = {
        "value": "value",
        "drop": "`drop`",
        "relative_drop": "`drop` in `%`",
        "increase": "`increase`",
        "ratio": "`ratio`",
    }
    rows = (
        (
            f"`{metric.name}`",
            metric.help,
            ", ".join(forms[form] for form in metric.forms),
            ", ".join(f"`{unit}`" for unit in metric.units) or "none",
            "benchmark" if metric.per_benchmark else "run",
            "always" if metric.needs_baseline else "to compare",
            "yes" if metric.needs_cases else "no",
        )
        for metric in METRICS.values()
    )
    head = ("metric", "what it is", "forms", "units", "one number per", "needs a baseline", "needs every case")
    return tuple(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def observe(gate: Gate, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    """Give the number that a gate is about, or say why there is none."""
    needed = (recipe, summary.baseline) if gate.compares else (recipe,)
    absent = next((name for name in needed if name not in summary.recipes), None)
    return Undefined(reason=f"{absent} was never loaded") if absent else _observed(gate, summary, recipe, benchmark)


def _observed(gate: Gate, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    match gate.metric:
        case "pass@K" if gate.k:
            return _pass_at(gate.k, gate.form, summary, recipe, benchmark)
        case "regressed":
            return _regressed(summary, recipe, benchmark)
        case "bleu" | "chrf":
            return _score(gate.metric, gate.form, summary, recipe, benchmark)
        case "robust_drop" | "robust_pass":
            return _robust(gate.metric, gate.form, summary, recipe, benchmark)
        case "kl" | "reverse_kl" | "same_top1":
            return _divergence(gate.metric, summary, recipe)
        case _:
            return _cost_of(gate, summary, recipe)


def _pass_at(k: int, form: Form, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    own = next(_pass_of(summary, recipe, benchmark, k), None)
    if own is None:
        return Undefined(reason=f"no pass@{k} of {recipe} on {benchmark or 'any benchmark'} in this run")
    if form == "value":
        return own
    compared = _comparison(summary, recipe, benchmark)
    if isinstance(compared, Undefined):
        return compared
    drops = {1: compared.relative_drop, **compared.relative_drop_at}
    deltas = {1: compared.delta, **compared.delta_at}
    if k not in deltas:
        return Undefined(reason=f"the baseline has fewer than {k} samples on {benchmark}")
    return drops[k] if form == "relative_drop" else _negated(deltas[k])


def _pass_of(summary: Summary, recipe: str, benchmark: str | None, k: int) -> Iterator[Quantity]:
    for result in summary.results:
        if result.recipe == recipe and result.benchmark == benchmark and k in result.pass_at:
            yield result.pass_at[k]


def _comparison(summary: Summary, recipe: str, benchmark: str | None) -> Comparison | Undefined:
    for comparison in summary.comparisons:
        if comparison.recipe == recipe and comparison.benchmark == benchmark:
            return comparison
    return Undefined(reason=f"no comparison with a baseline on {benchmark or 'any benchmark'}")


def _regressed(summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    compared = _comparison(summary, recipe, benchmark)
    return compared if isinstance(compared, Undefined) else _single(len(compared.regressed), "count")


def _score(name: str, form: Form, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    results: Sequence[ScoreResult | ScoreComparison]
    results = summary.score_results if form == "value" else summary.score_comparisons
    found = next((one for one in results if (one.recipe, one.benchmark) == (recipe, benchmark)), None)
    match found:
        case ScoreResult():
            return found.means[name]
        case ScoreComparison():
            change = found.changes[name]
            return change.relative_drop if form == "relative_drop" else _negated(change.delta)
    return Undefined(reason=f"no {name} of {recipe} on {benchmark or 'any benchmark'} in this run")


def _robust(name: str, form: Form, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    """Give the number over all that was disturbed."""
    for change in summary.robust_changes if form != "value" else ():
        if (change.recipe, change.benchmark, change.scope) == (recipe, benchmark, ALL):
            return change.increase if name == "robust_drop" else _negated(change.delta)
    for result in summary.robust_results if form == "value" else ():
        if (result.recipe, result.benchmark, result.scope) == (recipe, benchmark, ALL):
            return result.means[1].drop if name == "robust_drop" else result.means[1].robust
    asked = benchmark or "any benchmark"
    return Undefined(reason=f"no disturbed problem of {asked} was asked: add --qeval-suite robustness")


def _divergence(metric: str, summary: Summary, recipe: str) -> Quantity:
    found = summary.divergence.get(recipe)
    if found is None:
        return Undefined(reason="no divergence was measured: add --qeval-suite divergence")
    facts = found.facts
    if facts.baseline != summary.baseline:
        return Undefined(reason=f"the divergence was measured from {facts.baseline}, not from {summary.baseline}")
    if facts.incomparable > _LEFT_OUT * (facts.incomparable + len(facts.problems)):
        return Undefined(reason=f"{facts.incomparable} solutions could not be compared: other tokens, or no room")
    return found.means[metric]


def _cost_of(gate: Gate, summary: Summary, recipe: str) -> Quantity:
    own = _cost(gate.metric, summary.efficiency.get(recipe))
    if gate.form == "value" or isinstance(own, Undefined):
        return own
    other = _cost(gate.metric, summary.efficiency.get(summary.baseline or ""))
    if isinstance(other, Undefined):
        return Undefined(reason=f"baseline: {other.reason}")
    if other.value == 0:
        return Undefined(reason=f"the baseline's {gate.metric} is 0")
    return _single(own.value / other.value, "ratio of two single readings")


def _cost(metric: str, costs: Efficiency | None) -> Quantity:
    if costs is None:
        return Undefined(reason=f"no {metric} was measured")
    if costs.simulated and metric != "model_bytes":
        return Undefined(reason=f"simulated: its {metric} is not the recipe's")
    value = {
        "throughput": costs.throughput,
        "single_stream": _median(costs.decode_s),
        "prefill": _median(costs.prefill_s),
        "energy": costs.energy.energy_wh,
        "peak_memory": costs.peak_memory_bytes,
        "model_bytes": costs.model_bytes,
    }[metric]
    if value is None:
        return Undefined(reason=(metric == "energy" and costs.energy.undefined) or f"no {metric} was measured")
    return _single(value, "single reading")


def _median(spread: Percentiles | None) -> float | None:
    return spread.p50 if spread else None


def _single(value: float, method: str) -> Estimate:
    return Estimate(value=float(value), low=None, high=None, n=1, method=method)


def _negated(delta: Quantity) -> Quantity:
    if isinstance(delta, Undefined):
        return delta
    low, high = (None if end is None else 0.0 - end for end in (delta.high, delta.low))
    return replace(delta, value=0.0 - delta.value, low=low, high=high)
