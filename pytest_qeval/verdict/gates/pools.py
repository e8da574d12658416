"""Look up the value of all executed benchmarks together that a gate is about."""

from __future__ import annotations

from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.stats.intervals import negate
from pytest_qeval.summary.pooled import PooledComparison
from pytest_qeval.summary.results import Summary
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.quantities import nothing_to_lose, single


def observe_pool(gate: Gate, summary: Summary, recipe: str) -> Quantity:
    """Return the pooled value, or the reason why there is none."""
    found = next((one for one in summary.pooled if one.recipe == recipe), None)
    if found is None:
        stopped = summary.decided and "benchmarks that were stopped early cannot be pooled"
        return Undefined(reason=stopped or "no benchmark was run by both recipe and baseline, so nothing can be pooled")
    strata = {one.benchmark for one in found.strata}
    alone = [one.benchmark for one in summary.results if one.recipe == recipe and one.benchmark not in strata]
    if alone:
        return Undefined(reason=f"{', '.join(alone)} was not run under {found.baseline}, and cannot be pooled")
    if len(strata) == 1:
        only = found.strata[0].benchmark
        return Undefined(
            reason=f"the run has {only} only, which is no pool: add a benchmark, or write {only!r} for 'all'"
        )
    if isinstance(found.delta, Undefined):
        return found.delta
    return (gate.form != "value" and _diluted(found)) or _value(gate, found)


def _diluted(found: PooledComparison) -> Undefined | None:
    """Refuse benchmarks on which nothing can be lost: they would narrow the interval, and make any loss look small."""
    empty = [one.benchmark for one in found.strata if one.problems and not one.baseline_solved]
    if not empty:
        return None
    return Undefined(
        reason=f"{found.baseline} solves nothing of {', '.join(empty)}, where nothing can be lost: leave it out of the "
        "run, or check the prompt style"
    )


def _value(gate: Gate, found: PooledComparison) -> Quantity:
    nothing = nothing_to_lose(found.pass_at_1[found.baseline], found.baseline)
    match gate.metric, gate.form:
        case "regressed", _:
            return nothing or single(found.regressed, "count")
        case "pass@K", "value":
            return found.pass_at_1[found.recipe]
        case "pass@K", "relative_drop":
            return nothing or found.relative_drop
        case "pass@K", _:
            return nothing or negate(found.delta)
        case _:
            return Undefined(reason=f"{gate.metric} is not pooled over benchmarks")
