"""The gates with their observed values, intervals and evidence."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval.report.html.blocks import Cell, Section, Text, Tone, cell, name, table
from pytest_qeval.report.sentences import evidence_of
from pytest_qeval.report.text import value_and_interval
from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.selection import selection_of

_IN_POINTS = ("drop", "increase")
_LEAD = (
    "A gate is a condition that the run was given. It is judged by the observed value; the evidence says what the "
    "interval proves. “not worse” means that the whole interval keeps the condition, “worse” that none of it does, "
    "and “unproven” that the interval reaches to both sides, or that there is none: chance may have decided. An "
    "“exact” value is counted, so that it needs no interval."
)


def gates_section(summary: Summary, gates: Sequence[GateResult]) -> Section | None:
    """Return the section."""
    if not gates:
        return None
    head = ("Result", "Gate", "Recipe", "Benchmark", "Observed", "95 % interval", "Evidence", "Why")
    proven = any(gate.evidence == "not worse" for gate in gates)
    selection = selection_of(summary, gates) if proven else None
    notes = () if selection is None else (Text(text=_selection(selection.comparisons, selection.chance)),)
    found = table("Every gate, for every recipe that it judges", head, [_row(gate) for gate in gates])
    return Section(name="gates", title="Gates", lead=_LEAD, blocks=(found, *notes))


def _row(gate: GateResult) -> tuple[Cell, ...]:
    passed = gate.outcome == "pass"
    value, interval = observed(gate)
    evidence = evidence_of(gate)
    return (
        cell("holds" if passed else "broken", tone="good" if passed else "bad"),
        name(gate.expression),
        name(gate.recipe),
        name(gate.benchmark) if gate.benchmark else cell("whole run"),
        cell(value, gate.observed.value if isinstance(gate.observed, Estimate) else None),
        cell("none needed" if evidence == "exact" else interval),
        cell(evidence, tone=evidence_tone(evidence)),
        cell(f"{gate.reason}{' (primary)' if gate.primary else ''}"),
    )


def observed(gate: GateResult) -> tuple[str, str]:
    """Return the observed value and its interval, in points where the gate is about a change."""
    if any(f" {word} " in gate.expression for word in _IN_POINTS):
        unit = "%" if gate.expression.rstrip().endswith("%") else "pt"
        value, interval = value_and_interval(gate.observed, lambda x: f"{100 * x:.1f}", interval="[{}, {}]")
        return (f"{value} {unit}" if isinstance(gate.observed, Estimate) else value), interval
    return value_and_interval(gate.observed, "{:.4g}".format, interval="[{}, {}]")


def evidence_tone(evidence: str) -> Tone:
    """Return how evidence is marked."""
    return {"worse": "bad", "not worse": "good", "exact": ""}.get(evidence, "warn")  # type: ignore[return-value] # a literal


def _selection(comparisons: int, chance: float) -> str:
    return (
        f"{comparisons} comparisons were made. The chance that at least one is wrongly called “not worse” is at most "
        f"{chance:.1%}, if each single interval is wrong in 2.5 % of runs on that side."
    )
