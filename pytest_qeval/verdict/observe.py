"""The number that a gate is about, looked up in the summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_qeval.results import BenchmarkResult, Comparison, Efficiency, Summary
from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.verdict.gates import Gate

__all__ = ["observe"]


def observe(gate: Gate, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    """Give the number that a gate is about, or say why there is none."""
    needed = (recipe, summary.baseline) if gate.compares else (recipe,)
    absent = next((name for name in needed if name not in summary.recipes), None)
    if absent is not None:
        return Undefined(reason=f"{absent} was never loaded")
    if gate.k is not None:
        return _pass_at(gate.k, gate.form, summary, recipe, benchmark)
    if gate.metric == "regressed":
        comparison = next(_comparisons(summary, recipe, benchmark), None)
        if comparison is None:
            return Undefined(reason=f"no comparison with a baseline on {benchmark or 'any benchmark'}")
        return _single(len(comparison.regressed), "count")
    return _cost_of(gate, summary, recipe)


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


def _pass_at(k: int, form: str, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    results = [r for r in summary.results if r.benchmark == benchmark]
    own = next(_pass_of(results, recipe, k), None)
    if own is None:
        return Undefined(reason=f"no pass@{k} of {recipe} on {benchmark or 'any benchmark'} in this run")
    if form == "value":
        return own
    if k == 1:
        delta = next((c.delta for c in _comparisons(summary, recipe, benchmark)), None)
        return _negated(delta) if delta else Undefined(reason=f"no comparison with a baseline on {benchmark}")
    other = next(_pass_of(results, summary.baseline or "", k), None)
    if not (isinstance(own, Estimate) and isinstance(other, Estimate)):
        return Undefined(reason=f"no pass@{k} of the baseline on {benchmark}")
    return Estimate(value=other.value - own.value, low=None, high=None, n=own.n, method="difference of two estimates")


def _pass_of(results: Sequence[BenchmarkResult], recipe: str, k: int) -> Iterator[Quantity]:
    return (result.pass_at[k] for result in results if result.recipe == recipe and k in result.pass_at)


def _comparisons(summary: Summary, recipe: str, benchmark: str | None) -> Iterator[Comparison]:
    return (c for c in summary.comparisons if c.recipe == recipe and c.benchmark == benchmark)


def _cost(metric: str, costs: Efficiency | None) -> Quantity:
    if costs is None:
        return Undefined(reason=f"no {metric} was measured")
    if costs.simulated and metric != "model_bytes":
        return Undefined(reason=f"simulated: its {metric} is not the recipe's")
    value = {
        "throughput": costs.throughput,
        "energy": costs.energy.energy_wh,
        "peak_memory": costs.peak_memory_bytes,
        "model_bytes": costs.model_bytes,
    }[metric]
    if value is None:
        return Undefined(reason=(metric == "energy" and costs.energy.undefined) or f"no {metric} was measured")
    return _single(value, "single reading")


def _single(value: float, method: str) -> Estimate:
    return Estimate(value=float(value), low=None, high=None, n=1, method=method)


def _negated(delta: Quantity) -> Quantity:
    if isinstance(delta, Undefined):
        return delta
    low, high = (None if end is None else 0.0 - end for end in (delta.high, delta.low))
    return Estimate(
        value=0.0 - delta.value, low=low, high=high, n=delta.n, method=delta.method, confidence=delta.confidence
    )
