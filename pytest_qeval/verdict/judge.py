"""Whether the gates hold: observed values against thresholds, and what the intervals prove about it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval.results import Evidence, GateResult, Summary
from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.verdict.gates import Gate
from pytest_qeval.verdict.observe import observe

__all__ = ["judge"]


def judge(gates: Sequence[Gate], summary: Summary, *, require_proof: bool) -> tuple[GateResult, ...]:
    """Judge every gate for every candidate that was asked for (and every benchmark that it is about).

    A gate that cannot be judged, for want of a recipe that was never loaded, of results, of a baseline or of a single
    missing case, is broken: silence must not pass for success.
    """
    return tuple(
        _judge(gate, summary, recipe, benchmark, require_proof=require_proof)
        for gate in gates
        for recipe in summary.candidates
        for benchmark in _benchmarks(gate, summary)
    )


def _benchmarks(gate: Gate, summary: Summary) -> Sequence[str | None]:
    if not gate.per_benchmark:
        return (None,)
    if gate.benchmark:
        return (gate.benchmark,)
    return tuple(dict.fromkeys(result.benchmark for result in summary.results)) or (None,)


def _judge(gate: Gate, summary: Summary, recipe: str, benchmark: str | None, *, require_proof: bool) -> GateResult:
    observed = observe(gate, summary, recipe, benchmark)
    missing = _missing(summary, recipe, benchmark)
    value = None if isinstance(observed, Undefined) else observed.value
    holds = value is not None and gate.holds(value)
    evidence = _evidence(gate, observed)
    if isinstance(observed, Undefined):
        reason = observed.reason
    elif missing:
        reason = f"{missing} cases are missing"
    elif not holds:
        reason = f"observed {_say(gate, observed.value)}, promised {gate.comparator} {_say(gate, gate.threshold)}"
    elif require_proof and evidence != "not worse":
        reason = f"observed {_say(gate, observed.value)} holds, but the interval does not prove it"
    else:
        reason = f"observed {_say(gate, observed.value)}"
    broken = not holds or missing > 0 or (require_proof and evidence != "not worse")
    return GateResult(
        expression=gate.expression,
        recipe=recipe,
        benchmark=benchmark,
        observed=observed,
        threshold=gate.threshold,
        outcome="fail" if broken else "pass",
        evidence=evidence,
        reason=reason,
    )


def _missing(summary: Summary, recipe: str, benchmark: str | None) -> int:
    needed = {recipe, summary.baseline}
    return sum(
        result.missing
        for result in summary.results
        if result.recipe in needed and (benchmark is None or result.benchmark == benchmark)
    )


def _evidence(gate: Gate, observed: Quantity) -> Evidence:
    if isinstance(observed, Undefined) or observed.low is None or observed.high is None:
        return "unproven"
    ends = (gate.holds(observed.low), gate.holds(observed.high))
    if all(ends):
        return "not worse"
    return "unproven" if any(ends) else "worse"


def _say(gate: Gate, value: float) -> str:
    if gate.k is None:
        return f"{value:.4g}"
    return f"{100 * value:.1f} pt" if gate.form == "drop" else f"{value:.3f}"
