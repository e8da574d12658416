"""Look up what the suite `efficiency` has timed, for gates."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.stats.intervals import transform
from pytest_qeval.stats.quantiles import estimate_quantile
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.timing import ProblemTimes
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.metrics import LATENCIES
from pytest_qeval.verdict.gates.quantities import contended

_WORKLOADS: Mapping[str, str] = {
    "single_stream": "decode-1",
    "prefill": "prefill-128",
    "prefill_512": "prefill-512",
    "decode": "decode-1",
    "decode_8": "decode-8",
    "decode_32": "decode-32",
}
"""Names of workloads by the metrics that are about them."""
_LEAST = {0.5: 1, 0.9: 10, 0.99: 100}
"""Problems of which one lies above the percentile."""


def is_timed(gate: Gate, summary: Summary, recipe: str) -> bool:
    """Return whether the suite `efficiency` has measured a gate's metric as a whole, or nothing else could."""
    costs = summary.efficiency.get(recipe)
    quick = gate.metric in {"single_stream", "prefill"}
    return gate.metric in LATENCIES or (
        gate.metric in _WORKLOADS and not (quick and not (costs and _WORKLOADS[gate.metric] in costs.timings))
    )


def observe_timing(gate: Gate, summary: Summary, recipe: str) -> Quantity:
    """Return a time, or how many times as fast a recipe is as the baseline; without interval where it is contended."""
    own, base = summary.efficiency.get(recipe), summary.efficiency.get(summary.baseline or "")
    needed = [own, base] if gate.compares else [own]
    if any(costs and costs.simulated for costs in needed):
        return Undefined(reason=f"simulated: {gate.metric} is not the recipe's")
    return _latency(gate, own) if gate.metric in LATENCIES else _workload(gate, own, base)


def _workload(gate: Gate, own: Efficiency | None, base: Efficiency | None) -> Quantity:
    name = _WORKLOADS[gate.metric]
    found = own.timings.get(name) if own else None
    if found is None:
        return _not_measured(name)
    if gate.form == "value":
        return contended(found.seconds, found.contended)
    theirs = base.timings.get(name) if base else None
    if isinstance(found.speedup, Undefined):
        return found.speedup
    speedup = contended(found.speedup, found.contended or (theirs.contended if theirs else ""))
    return speedup if gate.form == "speedup" else transform(speedup, lambda value: 1 / value)


def _latency(gate: Gate, own: Efficiency | None) -> Quantity:
    latency = LATENCIES[gate.metric]
    problems = own.problems if own else None
    if problems is None:
        return _not_measured("problems")
    values = _values(problems, latency.name)
    if len(values) < _LEAST[latency.share]:
        least = _LEAST[latency.share]
        return Undefined(reason=f"{gate.metric} takes at least {least} problems, and {len(values)} were timed")
    return contended(estimate_quantile(values, latency.share, unit="problems"), problems.contended)


def _values(found: ProblemTimes, name: str) -> list[float]:
    if name == "ttft":
        return [one.ttft_s for one in found.problems]
    return [one.tpot_s for one in found.problems if one.tpot_s is not None]


def _not_measured(name: str) -> Undefined:
    return Undefined(reason=f"{name} was not measured: it takes a run with --qeval-suite efficiency")
