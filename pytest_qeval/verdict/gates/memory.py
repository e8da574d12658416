"""Look up the peak of memory, or the size on disk, that a gate is about."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.summary.results import Summary
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.quantities import single

_NAME = "peak_memory"


def observe_memory(gate: Gate, summary: Summary, recipe: str) -> Quantity:
    """Return the value, or why there is none and what measures it."""
    find = _disk if gate.metric == "disk" else _peak
    own = find(summary, recipe)
    if gate.form == "value" or isinstance(own, Undefined):
        return own
    other = find(summary, summary.baseline or "")
    if isinstance(other, Undefined):
        return Undefined(reason=f"baseline: {other.reason}")
    if own.method != other.method:
        return Undefined(reason=f"{own.method} cannot be compared with {other.method}: add --qeval-suite memory")
    return replace(own, value=own.value / other.value, method=f"ratio to the baseline, {own.method}")


def _peak(summary: Summary, recipe: str) -> Quantity:
    """Return the peak of a fresh process where there was one, else that of the run's own process."""
    use, costs = summary.memory.get(recipe), summary.efficiency.get(recipe)
    measured = use.measured if use else None
    if costs is None and measured is None:
        return Undefined(reason=f"{recipe} was never loaded")
    if (costs and costs.simulated) or (measured and measured.simulated):
        return Undefined(reason=f"simulated: its {_NAME} is not the recipe's")
    if measured:
        return single(measured.peak_bytes, "single reading, fresh process")
    if costs and costs.peak_memory_bytes:
        return single(costs.peak_memory_bytes, "single reading")
    return Undefined(reason=f"no {_NAME} was measured: add --qeval-suite memory")


def _disk(summary: Summary, recipe: str) -> Quantity:
    facts = summary.recipes.get(recipe)
    if facts is None or not facts.disk_bytes:
        return Undefined(reason=f"nothing was exported of {recipe}: it takes a run with --qeval-export DIR")
    return single(facts.disk_bytes, "single reading")
