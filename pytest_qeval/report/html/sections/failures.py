"""Why problems stay unsolved, and how that moves from the baseline to the candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Cell, Figure, Section, cell, table
from pytest_qeval.schema import Json
from pytest_qeval.summary.pass_rates import BenchmarkResult
from pytest_qeval.summary.results import Summary

KINDS: Mapping[str, str] = {
    "failed": "a test did not hold",
    "error": "the program raised an error",
    "syntax": "the program does not compile",
    "timeout": "the program ran too long",
    "memory": "the program took too much memory",
    "truncated": "cut off at the token limit",
    "empty": "no code was written",
    "tampered": "the program tried to forge its result",
}
_STEP = 13
"""Height of a mark's row in pixels."""
_LEAD = (
    "How many problems each model left unsolved, by what became of its first program. A quantized model that writes "
    "more broken or cut-off programs than the baseline is damaged in another way than one that makes more mistakes."
)


def failures_section(summary: Summary) -> Section | None:
    """Return the section, with one figure for each benchmark on which anything failed."""
    blocks = tuple(
        figure
        for number, benchmark in enumerate(dict.fromkeys(one.benchmark for one in summary.results))
        if (figure := _figure([one for one in summary.results if one.benchmark == benchmark], number, summary))
    )
    return Section(name="failures", title="Why problems fail", lead=_LEAD, blocks=blocks) if blocks else None


def _figure(results: Sequence[BenchmarkResult], number: int, summary: Summary) -> Figure | None:
    kinds = [kind for kind in KINDS if any(kind in one.failures for one in results)]
    if not kinds:
        return None
    base = next((one for one in results if one.recipe == summary.baseline), None)
    found = table(
        "Unsolved problems by cause, with the change from the baseline",
        ("Cause", *(one.recipe for one in results)),
        [(cell(f"{kind}: {KINDS[kind]}"), *(_count(one, kind, base) for one in results)) for kind in kinds],
        numeric=range(1, len(results) + 1),
    )
    worst = max(results, key=lambda one: len(one.unsolved))
    return Figure(
        name=f"failures-{number}",
        title=f"Unsolved problems of {results[0].benchmark} by cause",
        description=f"{worst.recipe} left most unsolved: {len(worst.unsolved)} of {worst.received}.",
        draw=partial(_draw, results, kinds),
        table=found,
    )


def _count(one: BenchmarkResult, kind: str, base: BenchmarkResult | None) -> Cell:
    count = one.failures.get(kind, 0)
    if base is None or one is base:
        return cell(str(count), count)
    change = count - base.failures.get(kind, 0)
    return cell(f"{count} ({change:+d})".replace("-", "−") if change else str(count), count)


def _draw(results: Sequence[BenchmarkResult], kinds: Sequence[str], width: int) -> Json:
    names = charts.unique_labels([one.recipe for one in results])
    values = [
        {"row": kind, "recipe": recipe, "count": one.failures.get(kind, 0)}
        for recipe, one in zip(names, results, strict=True)
        for kind in kinds
    ]
    colour, shape = charts.series(names)
    # Recipes that agree would hide each other on one line.
    place: Json = {"y": charts.rows_axis(kinds), "yOffset": {"field": "recipe", "sort": names}}
    x = charts.number_axis("count", "problems", axis={"tickMinStep": 1})
    return charts.chart(
        values,
        width=width,
        height={"step": _STEP, "for": "offset"},
        layer=[
            {
                "mark": {"type": "rule", "color": charts.MUTE, "opacity": 0.5},
                "encoding": {**place, "x": x, "x2": {"datum": 0}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {**place, "x": x, "color": colour, "shape": shape},
            },
        ],
    )
