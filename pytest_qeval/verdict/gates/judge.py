"""Judge gates: compare observed values with thresholds, and say what the intervals prove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from pytest_qeval.errors import counted
from pytest_qeval.facts import GateDecision
from pytest_qeval.schema import Estimate, Evidence, Quantity, Undefined
from pytest_qeval.summary.pass_rates import BenchmarkResult
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.robustness import ALL, RobustResult
from pytest_qeval.summary.scores import ScoreResult
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.metrics import METRICS
from pytest_qeval.verdict.gates.observe import observe
from pytest_qeval.verdict.gates.quantities import is_contended

_Decided = Mapping[tuple[str, str, str | None], GateDecision]
_NONE_DECIDED: _Decided = {}
_MEGABYTE, _GIGABYTE = 10**6, 10**9
_MOST_DIGITS = 9
"""More of them than usual, to tell two numbers apart."""


class _Judgement(NamedTuple):
    outcome: Literal["pass", "fail"]
    evidence: Evidence
    reason: str


def judge(
    gates: Sequence[Gate],
    summary: Summary,
    *,
    require_proof: bool,
    allow_missing: bool = False,
    decided: _Decided = _NONE_DECIDED,
) -> tuple[GateResult, ...]:
    """Judge every gate for every candidate (and every benchmark) that it is about.

    A gate that cannot be judged fails: a recipe was never loaded, results or the baseline are missing, or one case is.

    Args:
        gates: All gates.
        summary: What was observed.
        require_proof: Whether gates that do not set it themselves have to be proven by the interval.
        allow_missing: Whether gates are judged by the cases that are there.
        decided: Gates that were decided before the last case, by expression, recipe and benchmark.
    """
    subjects = dict.fromkeys(
        (replace(gate, recipe=None), recipe, benchmark)  # once, though two of a list's patterns may match
        for gate in gates
        for recipe in _recipes(gate, summary)
        for benchmark in _benchmarks(gate, summary)
    )
    return tuple(
        _judge(
            gate,
            summary,
            recipe,
            benchmark,
            require_proof=require_proof,
            allow_missing=allow_missing,
            decided=decided,
        )
        for gate, recipe, benchmark in subjects
    )


def _recipes(gate: Gate, summary: Summary) -> Sequence[str]:
    """Return the candidates that a gate is about; where there is none, its own pattern, which fails as never loaded."""
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
    if metric.of_all:
        results = (*summary.results, *summary.score_results)
    return tuple(dict.fromkeys(result.benchmark for result in results)) or (None,)


def _judge(
    gate: Gate,
    summary: Summary,
    recipe: str,
    benchmark: str | None,
    *,
    require_proof: bool,
    allow_missing: bool,
    decided: _Decided,
) -> GateResult:
    observed = observe(gate, summary, recipe, benchmark)
    missing = sum(_missing(gate, summary, recipe, benchmark)) if gate.needs_cases else 0
    decision = decided.get((gate.expression, recipe, benchmark))
    if decision:
        outcome, evidence, reason = decision.outcome, decision.evidence, decision.reason
    else:
        outcome, evidence, reason = _compare(gate, observed, missing, allow_missing=allow_missing)
    if gate.needs_proof(default=require_proof) and outcome == "pass" and evidence != "not worse":
        outcome, reason = "fail", f"{reason} holds, but {_why_unproven(observed)}"
    if gate.reason and outcome == "fail":
        reason += f"; reason of the gate: {gate.reason}"
    return GateResult(
        expression=gate.expression,
        recipe=recipe,
        benchmark=benchmark,
        observed=observed,
        threshold=gate.threshold,
        outcome=outcome,
        evidence=evidence,
        reason=reason,
        primary=gate.primary,
    )


def _why_unproven(observed: Quantity) -> str:
    if isinstance(observed, Estimate) and is_contended(observed):
        return "what is contended proves nothing"
    if isinstance(observed, Estimate) and observed.low is None:
        return f"there is no interval that proves it ({observed.method})"
    return "the interval does not prove it"


def _compare(gate: Gate, observed: Quantity, missing: int, *, allow_missing: bool) -> _Judgement:
    if isinstance(observed, Undefined):
        return _Judgement("fail", "unproven", observed.reason)
    found, wanted = _texts(gate, observed.value)
    evidence, value = _evidence(gate, observed), f"observed {found}"
    if METRICS[gate.metric].single_reading or is_contended(observed):
        value = f"{value} ({observed.method})"
    if missing and not allow_missing:
        return _Judgement("fail", evidence, f"{counted(missing, 'case')} missing")
    if not gate.holds(observed.value):
        return _Judgement("fail", evidence, f"{value}, required {gate.comparator} {wanted}")
    if bound := METRICS[gate.metric].lower_bound:  # what breaks a gate, breaks it all the more
        value = f"{value}, {bound}"
    return _Judgement("pass", evidence, f"{value}, {counted(missing, 'case')} missing" if missing else value)


def _missing(gate: Gate, summary: Summary, recipe: str, benchmark: str | None) -> Iterator[int]:
    """Yield numbers of missing cases; of perturbed ones only where the gate is about them, or about the whole run."""
    needed = {recipe, summary.baseline}
    perturbed = [one for one in summary.robust_results if one.scope == ALL]
    results: Sequence[BenchmarkResult | ScoreResult | RobustResult] = (*summary.results, *summary.score_results)
    if benchmark == POOL:
        results, benchmark = summary.results, None
    elif METRICS[gate.metric].of_perturbed or not gate.per_benchmark:
        results = (*results, *perturbed)
    for result in results:
        if result.recipe in needed and (benchmark is None or result.benchmark == benchmark):
            yield result.missing


def _evidence(gate: Gate, observed: Estimate) -> Evidence:
    if observed.low is None or observed.high is None:
        return "unproven"
    ends = (gate.holds(observed.low), gate.holds(observed.high))
    if all(ends):
        return "not worse"
    return "unproven" if any(ends) else "worse"


def _texts(gate: Gate, observed: float) -> tuple[str, str]:
    """Write the observed value and the threshold, with as many digits as it takes to tell them apart."""
    found = wanted = ""
    for more in range(_MOST_DIGITS):
        found, wanted = _format(gate, observed, more), _format(gate, gate.threshold, more)
        if found != wanted or observed == gate.threshold:
            break
    return found, wanted


def _format(gate: Gate, value: float, more: int) -> str:
    """Write a value in the gate's unit, with `more` digits than usual."""
    if gate.form in {"drop", "increase", "relative_drop"}:
        unit = "%" if gate.form == "relative_drop" else "pt"
        return f"{_positive_zero(100 * value, 1 + more):.{1 + more}f} {unit}"
    if METRICS[gate.metric].of_bytes and gate.form == "value":
        return _format_size(value, more)
    if METRICS[gate.metric].units:
        return f"{_positive_zero(value, 3 + more):.{3 + more}f}"
    if METRICS[gate.metric].is_time and gate.form == "value":
        return f"{1000 * value:.{4 + more}g} ms"
    return f"{value:.{4 + more}g}{'x' if gate.form == 'speedup' else ''}"


def _format_size(value: float, more: int) -> str:
    """Write bytes in decimal units."""
    if value < _MEGABYTE:
        return f"{value:.0f} B"
    size, unit, digits = (value / _GIGABYTE, "GB", 2) if value >= _GIGABYTE else (value / _MEGABYTE, "MB", 1)
    return f"{size:.{digits + more}f} {unit}"


def _positive_zero(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # -0.0 + 0.0 is 0.0
