"""What changed from the baseline, as a forest plot with the margin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pytest_qeval.report.changes import Change, all_changes
from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Cell, Figure, Section, Table, cell, name, table
from pytest_qeval.report.html.sections.gates import evidence_tone
from pytest_qeval.report.text import percent, points, value_and_interval
from pytest_qeval.schema import Estimate, Json
from pytest_qeval.summary.results import Summary

_LEAD = (
    "All models worked on the same problems. Each row is one recipe’s score minus the baseline’s, in percentage "
    "points; left of zero is a loss. The line is the 95 % interval: the range of true changes that fit what was "
    "seen. It allows for chance in which problems were asked, not for other prompts, machines or settings. The "
    "short upright line is the margin: the largest loss that a gate accepts; where no gate says, 2 points of "
    "pass@1 and 1 of a score. A recipe is safe if its whole interval is right of it."
)
_NARROW = 500
"""Pixels: a phone."""
_CAPTION = (
    "Scores of baseline and recipe, and their difference. p is of an exact McNemar test, or of a sign-flip test "
    "(scores, several samples, shared sources, all benchmarks together), corrected for the number of comparisons; the "
    "intervals are not corrected"
)


def differences_section(summary: Summary) -> Section | None:
    """Return the section."""
    rows = sorted(all_changes(summary), key=lambda one: one.measure != "pass@1")
    if not rows:
        return None
    drawn = [one for one in rows if isinstance(one.delta, Estimate)]
    found = _table(rows, summary)
    blocks = (
        Figure(
            name="differences",
            title="Change from the baseline, in points",
            description=_describe(drawn),
            draw=partial(_draw, drawn),
            table=found,
        )
        if drawn
        else found
    )
    return Section(name="differences", title="Difference from the baseline", lead=_LEAD, blocks=(blocks,))


def _describe(rows: Sequence[Change]) -> str:
    counts = {kind: sum(one.evidence == kind for one in rows) for kind in charts.EVIDENCE}
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"Intervals of {len(rows)} changes beside zero and the margin: {said}."


def _table(rows: Sequence[Change], summary: Summary) -> Table:
    margins = {one.margin for one in rows}
    evidence = f"Evidence at {100 * min(margins):g} pt" if len(margins) == 1 else "Evidence"
    head = (
        *("Recipe", "Benchmark", "Measure", "Baseline", "Recipe’s", "Change, pt", "95 % interval, pt"),
        *("Lost", "Won", "p", evidence),
    )
    cells = [_row(one, one.recipe in summary.candidates, len(margins) > 1) for one in rows]
    return table(_CAPTION, head, cells, numeric=(3, 4, 5, 6, 7, 8, 9))


def _row(one: Change, candidate: bool, margins: bool) -> tuple[Cell, ...]:  # noqa: FBT001 - whether there are several
    value, interval = value_and_interval(one.delta, points, interval="[{}, {}]")
    counts = one.measure == "pass@1"
    rates = (value_and_interval(rate, percent)[0] for rate in (one.base, one.own))
    return (
        name(one.recipe if candidate else f"{one.recipe} (baseline again)"),
        name(one.benchmark),
        cell(one.measure),
        *(cell(rate) for rate in rates),
        cell(value, one.delta.value if isinstance(one.delta, Estimate) else None),
        cell(interval),
        cell(str(len(one.regressed)) if counts else "–", len(one.regressed)),
        cell(str(len(one.fixed)) if counts else "–", len(one.fixed)),
        cell("–" if one.p is None else f"{one.p:.2g}", one.p),
        cell(
            f"{one.evidence} at {100 * one.margin:g} pt" if margins else one.evidence, tone=evidence_tone(one.evidence)
        ),
    )


def _draw(rows: Sequence[Change], width: int) -> Json:
    names = charts.unique_labels([f"{one.recipe} · {one.benchmark}{_measure(one)}" for one in rows])
    values = [_value(one, row) for one, row in zip(rows, names, strict=True)]
    y = charts.rows_axis(names)
    kinds = list(charts.EVIDENCE)
    shape = {"domain": kinds, "range": [charts.EVIDENCE[kind][0] for kind in kinds]}
    colour = {"domain": kinds, "range": [charts.EVIDENCE[kind][1] for kind in kinds]}
    of_kind: Json = {"field": "evidence", "type": "nominal", "title": None}
    x = charts.number_axis("value", "points: loss ← 0 → gain")
    if width < _NARROW:  # names stand above their rows, and no numbers beside them
        y["axis"] = {
            **y["axis"],
            "labelAlign": "left",
            "labelBaseline": "bottom",
            "labelPadding": -4,
            "labelOffset": -6,
        }
    layers: list[Json] = [
        {"mark": {"type": "rule", "color": charts.MUTE}, "encoding": {"x": {"datum": 0}}},
        {
            "mark": {
                "type": "tick",
                "color": charts.BAD,
                "thickness": 3,
                "size": charts.ROW * 0.7,
                "orient": "vertical",
            },
            "encoding": {"x": charts.number_axis("margin", x["title"]), "y": y},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 3},
            "encoding": {
                "x": charts.number_axis("low", x["title"]),
                "x2": {"field": "high"},
                "y": y,
                "color": {**of_kind, "scale": colour},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 140, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "shape": {**of_kind, "scale": shape},
                "color": {**of_kind, "scale": colour},
            },
        },
    ]
    if width >= _NARROW:
        text = {"type": "text", "align": "left", "dx": 8, "clip": False}
        layers.append({"mark": text, "encoding": {"x": {**x, "field": "high"}, "y": y, "text": {"field": "said"}}})
    return charts.chart(values, width=width, height={"step": charts.ROW}, layer=layers)


def _measure(one: Change) -> str:
    return "" if one.measure == "pass@1" else f" {one.measure}"


def _value(one: Change, row: str) -> Json:
    delta = one.delta
    if not isinstance(delta, Estimate):
        raise TypeError(f"{row} has no value to draw")
    ends = {key: 100 * end for key, end in (("low", delta.low), ("high", delta.high)) if end is not None}
    said = " ".join(value_and_interval(delta, points, interval="[{}, {}]"))
    margin = -100 * one.margin
    return {"row": row, "value": 100 * delta.value, "margin": margin, "evidence": one.evidence, "said": said, **ends}
