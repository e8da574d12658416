"""Look up the value that a gate is about in the summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from pytest_qeval.errors import counted
from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.intervals import negate
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.pass_rates import BenchmarkResult
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robustness import ALL, RobustResult
from pytest_qeval.summary.scores import ScoreComparison, ScoreResult
from pytest_qeval.verdict.gates.energies import OF_ENERGY, judged
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.lengths import OF_LENGTH, observe_length
from pytest_qeval.verdict.gates.memory import observe_memory
from pytest_qeval.verdict.gates.metrics import OF_MEMORY, Form
from pytest_qeval.verdict.gates.pools import observe_pool
from pytest_qeval.verdict.gates.quantities import contended, nothing_to_lose, single
from pytest_qeval.verdict.gates.timings import is_timed, observe_timing

T = TypeVar("T", BenchmarkResult, Comparison, ScoreResult, ScoreComparison, RobustResult, RobustChange)

_LEFT_OUT = 0.05
"""Share of the solutions that a divergence may leave out."""


def observe(gate: Gate, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    """Return the value that a gate is about, or the reason why there is none."""
    if gate.metric in OF_MEMORY:
        return observe_memory(gate, summary, recipe)
    needed = (recipe, summary.baseline) if gate.compares else (recipe,)
    absent = next((name for name in needed if name not in summary.recipes), None)
    if absent:
        return Undefined(reason=f"{absent} was never loaded")
    if benchmark == POOL:
        return observe_pool(gate, summary, recipe)
    find = observe_length if gate.metric in OF_LENGTH else _observed
    return find(gate, summary, recipe, benchmark)


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
            if is_timed(gate, summary, recipe):
                find = observe_timing
            else:
                find = _energy_of if gate.metric in OF_ENERGY else _cost_of
            return find(gate, summary, recipe)


def _find(results: Iterable[T], recipe: str, benchmark: str | None) -> T | None:
    return next((one for one in results if (one.recipe, one.benchmark) == (recipe, benchmark)), None)


def _pass_at(k: int, form: Form, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    own = _pass_of(summary, recipe, benchmark, k)
    if own is None:
        return Undefined(reason=f"no pass@{k} of {recipe} on {benchmark or 'any benchmark'} in this run")
    if form == "value":
        return own
    compared = _find(summary.comparisons, recipe, benchmark)
    if compared is None:
        return _not_compared(benchmark)
    drops = {1: compared.relative_drop, **compared.relative_drop_at}
    deltas = {1: compared.delta, **compared.delta_at}
    if k not in deltas:
        return Undefined(reason=f"the baseline has fewer than {k} samples on {benchmark}")
    nothing = nothing_to_lose(_pass_of(summary, compared.baseline, benchmark, k), compared.baseline)
    return nothing or (drops[k] if form == "relative_drop" else negate(deltas[k]))


def _pass_of(summary: Summary, recipe: str, benchmark: str | None, k: int) -> Quantity | None:
    result = _find(summary.results, recipe, benchmark)
    return result.pass_at.get(k) if result else None


def _not_compared(benchmark: str | None) -> Undefined:
    return Undefined(reason=f"no comparison with a baseline on {benchmark or 'any benchmark'}")


def _regressed(summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    compared = _find(summary.comparisons, recipe, benchmark)
    if compared is None:
        return _not_compared(benchmark)
    if isinstance(compared.delta, Undefined):
        return compared.delta
    solved = _pass_of(summary, compared.baseline, benchmark, 1)
    return nothing_to_lose(solved, compared.baseline) or single(len(compared.regressed), "count")


def _score(name: str, form: Form, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    own = _find(summary.score_results, recipe, benchmark)
    compared = _find(summary.score_comparisons, recipe, benchmark)
    if own and own.cases and own.empty == len(own.cases):  # of which BLEU is above 0: it counts the missing words
        return Undefined(reason=f"all {own.empty} completions of {recipe} on {benchmark} are empty")
    if form == "value" and own:
        return own.means[name]
    if form != "value" and compared:
        change = compared.changes[name]
        baseline = _score(name, "value", summary, compared.baseline, benchmark)
        if isinstance(baseline, Undefined):
            return baseline
        drop = change.relative_drop if form == "relative_drop" else negate(change.delta)
        return nothing_to_lose(baseline, compared.baseline) or drop
    return Undefined(reason=f"no {name} of {recipe} on {benchmark or 'any benchmark'} in this run")


def _robust(name: str, form: Form, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    """Return the value over all perturbations."""
    change = _find((one for one in summary.robust_changes if one.scope == ALL), recipe, benchmark)
    result = _find((one for one in summary.robust_results if one.scope == ALL), recipe, benchmark)
    if form != "value" and change:
        if nothing := _nothing_robust(summary, change.baseline, benchmark):
            return nothing
        return change.drop_increase if name == "robust_drop" else negate(change.robust_pass_delta)
    if form == "value" and result:
        return result.means[1].drop if name == "robust_drop" else result.means[1].robust
    problems = f"no perturbed problem of {benchmark or 'any benchmark'}"
    return Undefined(reason=f"{problems} was run: it takes a run with --qeval-suite robustness")


def _nothing_robust(summary: Summary, baseline: str, benchmark: str | None) -> Undefined | None:
    """Refuse to compare with a baseline that loses every problem when perturbed: nothing can be worse."""
    own = _find((one for one in summary.robust_results if one.scope == ALL), baseline, benchmark)
    robust = own.means[1].robust if own else None
    if isinstance(robust, Estimate) and robust.value == 0:
        return Undefined(reason=f"{baseline} itself solves no problem under every perturbation, so nothing can be lost")
    return None


def _divergence(metric: str, summary: Summary, recipe: str) -> Quantity:
    found = summary.divergence.get(recipe)
    if found is None:
        return Undefined(
            reason=f"no divergence from {summary.baseline} was measured: it takes a run with --qeval-suite divergence"
        )
    facts = found.facts
    if facts.baseline != summary.baseline:
        return Undefined(reason=f"the divergence was measured from {facts.baseline}, not from {summary.baseline}")
    if facts.incomparable > _LEFT_OUT * (facts.incomparable + len(facts.problems)):
        return Undefined(
            reason=f"{counted(facts.incomparable, 'solution')} could not be compared: other tokens, or no room"
        )
    return found.means[metric]


def _energy_of(gate: Gate, summary: Summary, recipe: str) -> Quantity:
    """Return a cost that is an energy, if a gate may judge it."""
    needed = (recipe, summary.baseline or "") if gate.compares else (recipe,)
    found = [costs for name in needed if (costs := summary.efficiency.get(name))]
    return judged(gate, _cost_of(gate, summary, recipe), found)


def _cost_of(gate: Gate, summary: Summary, recipe: str) -> Quantity:
    own = _cost(gate.metric, summary.efficiency.get(recipe))
    if gate.form == "value" or isinstance(own, Undefined):
        return own
    other = _cost(gate.metric, summary.efficiency.get(summary.baseline or ""))
    if isinstance(other, Undefined):
        return Undefined(reason=f"baseline: {other.reason}")
    if gate.needs_cases and _cases_of(summary, recipe) != _cases_of(summary, str(summary.baseline)):
        return Undefined(reason=f"{recipe} and {summary.baseline} generated different cases, whose costs differ")
    n, method = min(own.n, other.n), f"ratio to the baseline, {own.method}"
    if other.method != own.method:
        method = f"{method}, of the baseline {other.method}"
    value = other.value / own.value if gate.form == "speedup" else own.value / other.value
    return replace(own, value=value, n=n, method=method)


def _cases_of(summary: Summary, recipe: str) -> set[tuple[str, str]]:
    """Return benchmarks and labels of what a recipe has generated, with the number of perturbed cases."""
    found: Iterator[tuple[BenchmarkResult | ScoreResult | RobustResult, Sequence[str]]] = chain(
        ((one, (*one.solved, *one.unsolved)) for one in summary.results),
        ((one, tuple(one.cases)) for one in summary.score_results),
        ((one, (f"{one.planned} perturbed",)) for one in summary.robust_results if one.scope == ALL),
    )
    return {(one.benchmark, label) for one, labels in found if one.recipe == recipe for label in labels}


def _cost(metric: str, costs: Efficiency | None) -> Quantity:
    if costs is None:
        return Undefined(reason=f"no {metric} was measured")
    if costs.simulated and metric != "model_bytes":
        return Undefined(reason=f"simulated: its {metric} is not the recipe's")
    value: float | None
    n, method = 1, "single reading"
    if metric in {"single_stream", "prefill"}:
        spread = costs.decode_s if metric == "single_stream" else costs.prefill_s
        value, n = (spread.p50, spread.n) if spread else (None, 0)
        method = f"median of {n} readings"
        if value and costs.stream_contended:
            return contended(single(value, method, n=n), costs.stream_contended)
    else:
        value = {
            "throughput": costs.throughput,
            "energy": costs.energy.energy_wh,
            "energy_per_solved": costs.rates.j_per_solved,
            "model_bytes": costs.model_bytes,
        }[metric]
    if not value:  # nothing costs 0
        return Undefined(reason=_why_unknown(metric, costs))
    if metric in OF_ENERGY and costs.energy.provenance:
        method = f"{method}, {costs.energy.provenance}"
    return single(value, method, n=n)


def _why_unknown(metric: str, costs: Efficiency) -> str:
    if metric in OF_ENERGY and costs.energy.undefined:
        return costs.energy.undefined
    if metric == "energy_per_solved" and costs.energy.energy_wh:
        return f"{costs.recipe} solved no problem that is executed, so that no energy can be divided among solved ones"
    return f"no {metric} was measured"
