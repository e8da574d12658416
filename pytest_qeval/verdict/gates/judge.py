"""Whether the gates hold: observed values against thresholds, and what the intervals prove about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_qeval.facts import Decision
from pytest_qeval.schema import Evidence, Quantity, Undefined
from pytest_qeval.summary.pass_rates import BenchmarkResult
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.robustness import ALL, RobustResult
from pytest_qeval.summary.scores import ScoreResult
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.metrics import METRICS
from pytest_qeval.verdict.gates.observe import observe

__all__ = ["judge"]

_NONE_DECIDED: Mapping[tuple[str, str, str | None], Decision] = {}


def judge(
    gates: Sequence[Gate],
    summary: Summary,
    *,
    require_proof: bool,
    decided: Mapping[tuple[str, str, str | None], Decision] = _NONE_DECIDED,
) -> tuple[GateResult, ...]:
    """Judge every gate for every candidate (and every benchmark) that it is about.

    A gate that cannot be judged, for want of a recipe that was never loaded, of results, of a baseline or of a single
    missing case, is broken: silence must not pass for success.

    Args:
        gates: What was promised.
        summary: What came out.
        require_proof: Whether gates that do not say it themselves have to be proven by the interval.
        decided: How gates ended of which no case is missing but those that could not matter any more, by expression,
            recipe and benchmark.
    """
    subjects = dict.fromkeys(
        (replace(gate, recipe=None), recipe, benchmark)  # once, though two of a list's patterns may match
        for gate in gates
        for recipe in _recipes(gate, summary)
        for benchmark in _benchmarks(gate, summary)
    )
    return tuple(
        _judge(gate, summary, recipe, benchmark, require_proof=require_proof, decided=decided)
        for gate, recipe, benchmark in subjects
    )


def _recipes(gate: Gate, summary: Summary) -> Sequence[str]:
    """Name the candidates that a gate is about; where there is none, its own words, which were never loaded."""
    return [name for name in summary.candidates if gate.judges(name)] or [name for name in (gate.recipe,) if name]


def _benchmarks(gate: Gate, summary: Summary) -> Sequence[str | None]:
    if not gate.per_benchmark:
        return (None,)
    if gate.benchmark:
        return (gate.benchmark,)
    metric = METRICS[gate.metric]
    results: Sequence[BenchmarkResult | ScoreResult | RobustResult]
    results = summary.score_results if metric.of_scores else summary.results
    if metric.of_perturbed:
        results = summary.robust_results
    return tuple(dict.fromkeys(result.benchmark for result in results)) or (None,)


def _judge(
    gate: Gate,
    summary: Summary,
    recipe: str,
    benchmark: str | None,
    *,
    require_proof: bool,
    decided: Mapping[tuple[str, str, str | None], Decision],
) -> GateResult:
    observed = observe(gate, summary, recipe, benchmark)
    missing = sum(_missing(gate, summary, recipe, benchmark)) if gate.needs_cases else 0
    decision = decided.get((gate.expression, recipe, benchmark)) or _decide(gate, observed, missing)
    proof = require_proof if gate.require_proof is None else gate.require_proof
    if proof and decision.outcome == "pass" and decision.evidence != "not worse":
        decision = replace(
            decision, outcome="fail", reason=f"{decision.reason} holds, but the interval does not prove it"
        )
    why = f"; the promise: {gate.reason}" if gate.reason and decision.outcome == "fail" else ""
    return GateResult(
        expression=gate.expression,
        recipe=recipe,
        benchmark=benchmark,
        observed=observed,
        threshold=gate.threshold,
        outcome=decision.outcome,
        evidence=decision.evidence,
        reason=decision.reason + why,
    )


def _decide(gate: Gate, observed: Quantity, missing: int) -> Decision:
    if isinstance(observed, Undefined):
        return Decision(outcome="fail", evidence="unproven", reason=observed.reason)
    evidence, said = _evidence(gate, observed), f"observed {_say(gate, observed.value)}"
    if missing:
        return Decision(outcome="fail", evidence=evidence, reason=f"{missing} cases are missing")
    if not gate.holds(observed.value):
        promised = f"promised {gate.comparator} {_say(gate, gate.threshold)}"
        return Decision(outcome="fail", evidence=evidence, reason=f"{said}, {promised}")
    return Decision(outcome="pass", evidence=evidence, reason=said)


def _missing(gate: Gate, summary: Summary, recipe: str, benchmark: str | None) -> Iterator[int]:
    """Yield how many cases are missing; perturbed ones only where the gate is about them, or about the whole run."""
    needed = {recipe, summary.baseline}
    perturbed = [one for one in summary.robust_results if one.scope == ALL]
    results: Sequence[BenchmarkResult | ScoreResult | RobustResult] = (*summary.results, *summary.score_results)
    if METRICS[gate.metric].of_perturbed or not gate.per_benchmark:
        results = (*results, *perturbed)
    for result in results:
        if result.recipe in needed and (benchmark is None or result.benchmark == benchmark):
            yield result.missing


def _evidence(gate: Gate, observed: Quantity) -> Evidence:
    if isinstance(observed, Undefined) or observed.low is None or observed.high is None:
        return "unproven"
    ends = (gate.holds(observed.low), gate.holds(observed.high))
    if all(ends):
        return "not worse"
    return "unproven" if any(ends) else "worse"


def _say(gate: Gate, value: float) -> str:
    if gate.form in {"drop", "increase"}:
        return f"{100 * value:.1f} pt"
    if gate.form == "relative_drop":
        return f"{100 * value:.1f} %"
    return f"{value:.4g}" if not METRICS[gate.metric].units else f"{value:.3f}"
