"""The terminal summary: a sentence a recipe, then scores, flips, costs and gates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_qeval.errors import counted
from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.report.costs import cost_lines
from pytest_qeval.report.divergence import divergence_lines
from pytest_qeval.report.flips import flip_lines
from pytest_qeval.report.length import length_lines
from pytest_qeval.report.memory import memory_lines
from pytest_qeval.report.pass_rates import pass_rate_lines
from pytest_qeval.report.pooled import pooled_lines
from pytest_qeval.report.robustness import robustness_lines
from pytest_qeval.report.scores import score_lines
from pytest_qeval.report.sentences import Status, evidence_of, verdicts
from pytest_qeval.report.text import CORRECTED, Colour, Line, excluded_lines, p_value, shorten, table
from pytest_qeval.report.throughput import throughput_lines
from pytest_qeval.report.visible import one_line
from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.comparability import Remark
from pytest_qeval.summary.results import GateResult, Summary, overall_verdict
from pytest_qeval.summary.selection import Selection, selection_of
from pytest_qeval.summary.selftest import SelftestResult

_BLOCKS_SHOWN = 8
_LONGEST_SENTENCE = 400
_STATUS_COLOURS: Mapping[Status, Colour] = {"pass": "green", "fail": "red", "none": "yellow", "interrupted": "yellow"}


def lines(
    summary: Summary,
    gates: Sequence[GateResult],
    *,
    output: Path | None,
    verbosity: int = 0,
    records: Mapping[tuple[str, Case], Record] | None = None,
) -> Iterator[Line]:
    """Yield the summary from the headline to the path of the report.

    Args:
        summary: What is shown.
        gates: All gates.
        output: Folder of the reports; None where they could not be written.
        verbosity: pytest's: below 0 only the sentences and the verdict, above 0 every flip with its reason as well.
        records: The cases, which have the reasons.
    """
    doubts = [one for one in summary.comparability if one.level == "inconclusive"]
    notes = [one for one in summary.comparability if one.level != "inconclusive"]
    if verbosity < 0 and summary.selftest is None:
        yield from _remark_lines(doubts)
        yield from _verdict_lines(summary, gates)
        yield from _missing_lines(summary)
        yield _overall(gates, interrupted=_received(summary))
        return
    yield Line(_headline(summary), "bold")
    yield from _remark_lines(doubts)
    if summary.selftest is None:
        yield from _verdict_lines(summary, gates)
        yield from _remark_lines(notes)
        yield from _evaluation_lines(summary, gates, (records or {}) if verbosity > 0 else {})
    else:
        yield Line("")
        yield from _selftest_lines(summary, summary.selftest)
    if summary.interrupted:
        yield _overall(gates, interrupted=_received(summary))
    if output:
        yield Line(f"report: {output / 'report.json'}")


def _verdict_lines(summary: Summary, gates: Sequence[GateResult]) -> Iterator[Line]:
    """Yield one sentence a candidate; none where no problem was run."""
    for one in verdicts(summary, gates) if summary.planned else ():
        yield Line(one_line(one.headline, longest=_LONGEST_SENTENCE), _STATUS_COLOURS[one.status])


def _headline(summary: Summary) -> str:
    run = summary.run
    decoding = "greedy" if not run.generation.get("temperature") else f"temperature {run.generation['temperature']:g}"
    style = str(run.generation.get("prompt_style"))
    infills = summary.benchmarks and all(facts.get("infilling") for facts in summary.benchmarks.values())
    chat = [f"{style} prompts"] if style.startswith("chat") and not infills else []
    device = next((facts.device for facts in summary.recipes.values() if facts.device), None)
    encoder = any(facts.architecture == "encoder-decoder" for facts in summary.recipes.values())
    model = f"{run.model['id']} (encoder-decoder)" if encoder else str(run.model["id"])
    parts = [model, run.engine + (f" on {device}" if device else "")]
    if summary.planned:  # else nothing was generated
        parts += [counted(summary.received, "case"), *([] if run.engine == "replay" else [decoding]), *chat]
        parts.append(f"sandbox {run.sandbox}")
    return " · ".join(parts)


def _remark_lines(remarks: Sequence[Remark]) -> Iterator[Line]:
    for remark in remarks:
        yield Line(f"  {remark.level}: {remark.text}", "red" if remark.level == "inconclusive" else "yellow")


def _evaluation_lines(
    summary: Summary, gates: Sequence[GateResult], records: Mapping[tuple[str, Case], Record]
) -> Iterator[Line]:
    for benchmark in dict.fromkeys(one.benchmark for one in summary.results):
        yield Line("")
        yield from pass_rate_lines(summary, benchmark)
        yield from flip_lines(summary, benchmark, records)
    yield from pooled_lines(summary)
    sections: tuple[tuple[Sequence[str], Callable[[Summary, str], Iterator[Line]]], ...] = (
        ([one.benchmark for one in summary.score_results], score_lines),
        ([one.benchmark for one in summary.robust_results], robustness_lines),
    )
    for benchmarks, section in sections:
        for benchmark in dict.fromkeys(benchmarks):
            yield Line("")
            yield from section(summary, benchmark)
    yield from length_lines(summary)
    yield from cost_lines(summary)
    yield from memory_lines(summary)
    yield from throughput_lines(summary.throughput)
    for divergence in summary.divergence.values():
        yield Line("")
        yield from divergence_lines(divergence)
    if len(summary.divergence) > 1:
        yield Line("  KL does not rank recipes near the baseline: compare those by the problems that they solve")
    for sensitivity in summary.sensitivity.values():
        yield Line("")
        yield from _sensitivity_lines(sensitivity)
    yield Line("")
    yield from _missing_lines(summary)
    if not summary.interrupted:
        yield from _gate_lines(gates)
    if selection := selection_of(summary, gates):
        yield Line(f"  {_describe_selection(selection)}")
    if _is_corrected(summary):
        yield Line("  p-values are corrected because one of several comparisons may look like a loss by chance alone")
    if any(gate.outcome == "fail" and re.search(r"cases? missing\b", gate.reason) for gate in gates):
        yield Line("  to judge gates by the cases that are there, add --qeval-allow-missing")


def _selftest_lines(summary: Summary, results: Mapping[str, SelftestResult]) -> Iterator[Line]:
    for benchmark, result in results.items():
        references = f"{result.references_passed} of {result.references} references pass"
        broken = f"{result.broken_failed} of {result.broken} broken bodies fail"
        yield Line(f"self-test: {benchmark}: {references}, {broken}", "green" if result.holds else "red")
        if result.wrong:
            yield Line(f"  not as expected: {shorten(result.wrong)}", "red")
    if not results:
        yield Line("self-test: no problem was run", "yellow")
    for benchmark in results:
        yield from excluded_lines(benchmark, summary.benchmarks.get(benchmark, {}))
    yield from _missing_lines(summary)


def _sensitivity_lines(facts: SensitivityFacts) -> Iterator[Line]:
    yield Line(
        f"sensitivity to {facts.recipe}: each block quantized alone, {counted(facts.tokens, 'token')} of "
        f"{counted(facts.texts, 'solution')}"
    )
    shown = facts.blocks[:_BLOCKS_SHOWN]
    rows = [["  block", "KL, nats", "same top-1", "layers"]]
    rows += [[f"  {block.name}", f"{block.kl:.2g}", f"{block.same_top1:.1%}", str(block.layers)] for block in shown]
    yield from table(rows, right=True)
    if len(facts.blocks) > len(shown):
        least = facts.blocks[-1]
        more = f"{len(facts.blocks) - len(shown)} more down to {least.name} ({least.kl:.2g})"
        yield Line(f"  … {more}; all are in the report")


def _missing_lines(summary: Summary) -> Iterator[Line]:
    if summary.missing:
        yield Line(f"{summary.missing} of {counted(summary.planned, 'case')} missing", "red")


def _received(summary: Summary) -> str:
    """Say how much there is of a run that was cut short; empty for one that was not."""
    return f"{summary.received} of {counted(summary.planned, 'case')} finished" if summary.interrupted else ""


def _is_corrected(summary: Summary) -> bool:
    """Return whether any p-value of a comparison is shown with a corrected one beside it."""
    found = [(one.mcnemar_p, one.mcnemar_p_adjusted) for one in summary.comparisons]
    found += [(score.p, score.p_adjusted) for one in summary.score_comparisons for score in one.changes.values()]
    found += [(one.p, one.p_adjusted) for one in summary.pooled if len(one.strata) > 1]
    return any(p_value(p, corrected).endswith(CORRECTED) for p, corrected in found)


def _describe_selection(selection: Selection) -> str:
    """Say how often the best of several candidates is wrongly called not worse."""
    chance = f"{selection.chance:.1%}".replace("%", " %")
    if selection.primary:
        gates = "primary gate" if len(selection.primary) == 1 else "primary gates"
        return (
            f"{gates}: {', '.join(selection.primary)}; in up to {chance} of runs wrongly called not worse. "
            "All other evidence is exploratory"
        )
    return (
        f"{selection.comparisons} comparisons: in up to {chance} of runs at least one is wrongly called not worse. "
        "If one of them decides, make it the primary gate (primary = true in a gate file)"
    )


def _gate_lines(gates: Sequence[GateResult]) -> Iterator[Line]:
    for gate in gates:
        about = f"{gate.recipe}, {gate.benchmark}" if gate.benchmark else gate.recipe
        text = f"  {gate.outcome.upper()}  {gate.expression}  ({about}): {gate.reason}; {evidence_of(gate)}"
        yield Line(text, "green" if gate.outcome == "pass" else "red")
    yield _overall(gates, interrupted="")


def _overall(gates: Sequence[GateResult], *, interrupted: str) -> Line:
    """Return the verdict; `interrupted` says how much there is of a run that was cut short."""
    match overall_verdict(gates, interrupted=bool(interrupted)):
        case "interrupted":
            return Line(f"verdict: interrupted, {interrupted}, and no gate is judged", "yellow")
        case "fail":
            broken = sum(gate.outcome == "fail" for gate in gates)
            breaks = "the gate is broken" if len(gates) == 1 else f"{broken} of {len(gates)} gates broken"
            return Line(f"verdict: FAIL, {breaks}", "red")
        case "pass":
            hold = "the gate holds" if len(gates) == 1 else f"all {len(gates)} gates hold"
            return Line(f"verdict: PASS, {hold}", "green")
    return Line("verdict: none, no gate was set (such as --qeval-gate 'pass@1 drop <= 2pt')")
