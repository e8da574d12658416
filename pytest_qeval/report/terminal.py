"""The terminal summary: scores, flips, costs and gates on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Literal, NamedTuple

from pytest_qeval.facts import RecipeFacts, SensitivityFacts
from pytest_qeval.report.cost_table import cost_rows, saved_costs
from pytest_qeval.report.divergence import divergence_lines
from pytest_qeval.report.robustness import robust_lines
from pytest_qeval.report.scores import score_lines
from pytest_qeval.report.selftest import selftest_lines
from pytest_qeval.report.table import align
from pytest_qeval.schema import Json, Quantity, Undefined
from pytest_qeval.summary.results import BenchmarkResult, Comparison, ControlExcess, GateResult, SelftestResult, Summary

__all__ = ["Line", "lines"]

_LABELS_SHOWN = 12
_BLOCKS_SHOWN = 8
_EVIDENCE = {
    "worse": "worse: the whole interval lies below −{margin} pt",
    "not worse": "not worse: the whole interval lies above −{margin} pt",
    "unproven": "unproven at a margin of {margin} pt",
}


class Line(NamedTuple):
    """One line of the summary."""

    text: str
    colour: Literal["green", "red", "yellow", "bold"] | None = None


def lines(summary: Summary, gates: Sequence[GateResult], *, output: Path) -> Iterator[Line]:
    """Yield the summary from the headline to the path of the report."""
    yield Line(_headline(summary), "bold")
    if summary.selftest is not None:
        yield from _selftest(summary, summary.selftest)
        yield Line(f"report: {output / 'report.json'}")
        return
    for benchmark in dict.fromkeys(result.benchmark for result in summary.results):
        yield Line("")
        yield from _benchmark(summary, benchmark)
    for benchmark in dict.fromkeys(result.benchmark for result in summary.score_results):
        yield Line("")
        yield from starmap(Line, score_lines(summary, benchmark, kind=_kind))
        yield from _left_out(benchmark, summary.benchmarks.get(benchmark, {}))
    for benchmark in dict.fromkeys(result.benchmark for result in summary.robust_results):
        yield Line("")
        yield from starmap(Line, robust_lines(summary, benchmark))
    rows = cost_rows(summary)
    if rows:
        yield Line("")
        yield from _costs(summary, rows)
    for found in summary.divergence.values():
        yield Line("")
        yield from map(Line, divergence_lines(found))
    for facts in summary.sensitivity.values():
        yield Line("")
        yield from _sensitivity(facts)
    yield Line("")
    yield from _gates(summary, gates)
    yield Line(f"report: {output / 'report.json'}")


def _headline(summary: Summary) -> str:
    run = summary.run
    decoding = "greedy" if not run.generation.get("temperature") else f"temperature {run.generation['temperature']:g}"
    chat = ["chat prompts"] if run.generation.get("prompt_style") == "chat" else []
    device = next((facts.device for facts in summary.recipes.values() if facts.device), None)
    encoder = any(facts.architecture == "encoder-decoder" for facts in summary.recipes.values())
    model = f"{run.model['id']} (encoder-decoder)" if encoder else str(run.model["id"])
    parts = [model, run.engine + (f" on {device}" if device else ""), f"{summary.received} cases"]
    return " · ".join([*parts, *([] if run.engine == "replay" else [decoding]), *chat, f"sandbox {run.sandbox}"])


def _selftest(summary: Summary, results: Mapping[str, SelftestResult]) -> Iterator[Line]:
    """Say what a self-test found, in place of scores that nobody has reached."""
    yield Line("")
    for text, holds in selftest_lines(results):
        yield Line(text, "green" if holds else "red")
    if not results:
        yield Line("self-test: no problem was asked", "yellow")
    for name in results:
        yield from _left_out(name, summary.benchmarks.get(name, {}))
    yield from _missing(summary)


def _benchmark(summary: Summary, benchmark: str) -> Iterator[Line]:
    results = [result for result in summary.results if result.benchmark == benchmark]
    ks = list(dict.fromkeys(k for result in results for k in result.pass_at))
    heads = [cell for k in ks for cell in (f"pass@{k}", "95 % interval")]
    rows = [[benchmark, "", *heads, "solved", "unsolved because"]]
    rows += [_result(summary.recipes.get(result.recipe), result, ks) for result in results]
    yield from (Line(text) for text in align(rows))
    yield from _left_out(benchmark, summary.benchmarks.get(benchmark, {}))
    for (recipe, name), reason in summary.decided.items():
        if name == benchmark:
            yield Line(f"  {recipe} was left early: {reason}")
    for comparison in summary.comparisons:
        if comparison.benchmark == benchmark:
            yield Line("")
            yield from _comparison(comparison, early=(comparison.recipe, benchmark) in summary.decided)


def _left_out(benchmark: str, facts: Json) -> Iterator[Line]:
    """Say which problems of the data are not asked: a score is one of the others."""
    by_reason: dict[str, list[str]] = {}
    for task_id, reason in facts.get("excluded", {}).items():
        by_reason.setdefault(reason, []).append(task_id)
    if by_reason:
        count = sum(map(len, by_reason.values()))
        named = "; ".join(f"{_some(task_ids)} ({reason})" for reason, task_ids in by_reason.items())
        yield Line(f"  {benchmark}: {count} of {facts['problems'] + count} problems left out: {named}")


def _result(facts: RecipeFacts | None, result: BenchmarkResult, ks: Sequence[int]) -> list[str]:
    """Return the cells of a recipe, which may have fewer samples than another one, or none yet."""
    cells = [cell for k in ks for cell in _quantity(result.pass_at.get(k, Undefined(reason="")))]
    missing = f" ({result.missing} missing!)" if result.missing else ""
    failures = " · ".join(f"{count} {status}" for status, count in result.failures.items())
    solved = f"{len(result.solved)}/{result.received}{missing}"
    return [f"  {result.recipe}", _kind(facts), *cells, solved, failures or "–"]


def _kind(facts: RecipeFacts | None) -> str:
    if facts is None:
        return "not loaded"
    exact = facts.execution == "full precision"
    words = (facts.dtype if exact else facts.scheme, None if exact else facts.execution)
    return " ".join(word for word in (*words, facts.role if facts.role != "candidate" else None) if word)


def _quantity(quantity: Quantity) -> tuple[str, str]:
    if isinstance(quantity, Undefined):
        return "–", quantity.reason
    interval = "" if quantity.low is None or quantity.high is None else f"{quantity.low:.1%} – {quantity.high:.1%}"
    return f"{quantity.value:.1%}", interval


def _comparison(comparison: Comparison, *, early: bool) -> Iterator[Line]:
    delta = comparison.delta
    name = f"  {comparison.recipe} against {comparison.baseline}:"
    if isinstance(delta, Undefined):
        yield Line(f"{name} {delta.reason}", "yellow")
        return
    interval = "" if delta.low is None or delta.high is None else f" [{_points(delta.low)}, {_points(delta.high)}]"
    if early:
        yield Line(f"{name} {_points(delta.value)} pt over the {delta.n} problems that were asked, the gates decide")
        yield from _flips("regressed", comparison.regressed)
        yield from _flips("fixed", comparison.fixed)
        return
    evidence = _EVIDENCE[comparison.evidence].format(margin=f"{100 * comparison.margin:g}")
    colour: dict[str, Literal["green", "red", "yellow"]] = {"worse": "red", "not worse": "green", "unproven": "yellow"}
    yield Line(
        f"{name} {_points(delta.value)} pt{interval}, McNemar {_p(comparison)}; {evidence}",
        colour[comparison.evidence],
    )
    if comparison.evidence == "unproven" and comparison.detectable_drop is not None:
        within = f"{100 * comparison.detectable_drop:.1f} pt"
        yield Line(f"    {delta.n} problems with as many flips can rule out a drop of {within} (80 % power)")
    yield from _flips("regressed", comparison.regressed)
    yield from _flips("fixed", comparison.fixed)
    if comparison.excess:
        yield Line(f"    {_excess(comparison.excess)}")


def _p(comparison: Comparison) -> str:
    p, adjusted = f"{comparison.mcnemar_p:.2g}", f"{comparison.mcnemar_p_adjusted:.2g}"
    return f"p = {p}" if p == adjusted else f"p = {p} ({adjusted} corrected)"


def _excess(excess: ControlExcess) -> str:
    own = f"{excess.flips} flips, {excess.control_flips} in the control, {excess.shared} in both"
    share = excess.excess
    if isinstance(share, Undefined) or share.low is None or share.high is None:
        return own
    return f"{own}: {_points(share.value)} pt [{_points(share.low)}, {_points(share.high)}] above the control"


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−")


def _flips(word: str, labels: Sequence[str]) -> Iterator[Line]:
    if labels:
        yield Line(f"    {len(labels)} {word}: {_some(labels)}")


def _some(labels: Sequence[str]) -> str:
    more = f" … and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
    return f"{', '.join(labels[:_LABELS_SHOWN])}{more}"


def _costs(summary: Summary, rows: Sequence[Sequence[str]]) -> Iterator[Line]:
    yield from (Line(text) for text in align([["cost", *summary.efficiency], *rows], right=True))
    if any(costs.simulated for costs in summary.efficiency.values()):
        yield Line(
            "  (…) simulated: rounded, then computed in float; speed, peak memory and energy are not the recipe's"
        )
    notes = {
        f": {costs.energy.undefined}"
        if costs.energy.undefined
        else f" {costs.energy.provenance}: {costs.energy.method}"
        for costs in summary.efficiency.values()
        if costs.new_tokens
    }
    yield from (Line(f"  energy{note}") for note in sorted(notes))
    if summary.run.saved_baseline and summary.baseline in summary.efficiency:
        yield Line(f"  {summary.baseline}: {saved_costs(summary)}", "yellow")
    for name, costs in summary.efficiency.items():
        if costs.slower:
            yield Line(f"  {name}: {costs.slower}", "yellow")
    for name, facts in summary.recipes.items():
        yield from (Line(f"  {name}: {note}", "yellow") for note in facts.notes)
        if facts.decoding and facts.decoding != "continuous batch":
            yield Line(f"  {name} was decoded by {facts.decoding}", "yellow")


def _sensitivity(facts: SensitivityFacts) -> Iterator[Line]:
    yield Line(
        f"sensitivity to {facts.recipe}: each block quantized alone, {facts.tokens} tokens of {facts.texts} solutions"
    )
    shown = facts.blocks[:_BLOCKS_SHOWN]
    rows = [["  block", "KL, nats", "same top-1", "layers"]]
    rows += [[f"  {block.name}", f"{block.kl:.2g}", f"{block.same_top1:.1%}", str(block.layers)] for block in shown]
    yield from (Line(text) for text in align(rows, right=True))
    if len(facts.blocks) > len(shown):
        least = facts.blocks[-1]
        yield Line(
            f"  … {len(facts.blocks) - len(shown)} more down to {least.name} ({least.kl:.2g}); all are in the report"
        )


def _missing(summary: Summary) -> Iterator[Line]:
    if summary.missing:
        yield Line(f"{summary.missing} of {summary.planned} cases are missing", "red")


def _gates(summary: Summary, gates: Sequence[GateResult]) -> Iterator[Line]:
    yield from _missing(summary)
    if not gates:
        yield Line("verdict: none, no gate was set (such as --qeval-gate 'pass@1 drop <= 2pt')")
        return
    for gate in gates:
        about = f"{gate.recipe}, {gate.benchmark}" if gate.benchmark else gate.recipe
        text = f"  {gate.outcome.upper()}  {gate.expression}  ({about}): {gate.reason}; {gate.evidence}"
        yield Line(text, "green" if gate.outcome == "pass" else "red")
    broken = sum(gate.outcome == "fail" for gate in gates)
    if broken:
        yield Line(f"verdict: FAIL, {broken} of {len(gates)} gates broken", "red")
    else:
        yield Line(f"verdict: PASS, {'the gate holds' if len(gates) == 1 else f'all {len(gates)} gates hold'}", "green")
