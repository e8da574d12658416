"""Memory of each recipe: weights, and the peak of the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from pytest_qeval.report.cost_ratios import amount
from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Cell, Figure, Section, cell, name, table
from pytest_qeval.schema import Json
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.results import Summary

_LEAD = (
    "The weights are what quantization makes smaller. The peak is of the whole process that ran the model, with "
    "Python and its libraries; it is no lower bound of what a server needs."
)
_KINDS = ("weights", "peak of the process")


def memory_section(summary: Summary) -> Section | None:
    """Return the section."""
    found = {recipe: costs for recipe, costs in summary.efficiency.items() if costs.model_bytes}
    if not found:
        return None
    rows = [(name(recipe), *_cells(summary, recipe, costs)) for recipe, costs in found.items()]
    head = ("Recipe", "Weights", "Bits per weight", "Peak of the process")
    figure = Figure(
        name="memory",
        title="Memory",
        description=f"Bars for the weights of {len(found)} recipes, and for the peak of the process where it is known.",
        draw=partial(_draw, found),
        table=table("Memory of each recipe", head, rows, numeric=(1, 2, 3)),
    )
    return Section(name="memory", title="Memory", lead=_LEAD, blocks=(figure,))


def _cells(summary: Summary, recipe: str, costs: Efficiency) -> Sequence[Cell]:
    bits = summary.recipes[recipe].bits_per_weight
    packed = " packed, simulated here" if costs.packed else ""
    return (
        cell(f"{amount(costs.model_bytes, 'B')}{packed}", costs.model_bytes),
        cell("–" if bits is None else f"{bits:.1f}", bits),
        cell(amount(costs.peak_memory_bytes, "B"), costs.peak_memory_bytes),
    )


def _draw(found: Mapping[str, Efficiency], width: int) -> Json:
    names = charts.unique_labels(list(found))
    values = [
        {"row": row, "kind": kind, "mb": size / 1e6, "text": amount(size, "B")}
        for row, costs in zip(names, found.values(), strict=True)
        for kind, size in zip(_KINDS, (costs.model_bytes, costs.peak_memory_bytes), strict=True)
        if size is not None
    ]
    kinds = [kind for kind in _KINDS if any(value["kind"] == kind for value in values)]
    panels = [_panel([value for value in values if value["kind"] == kind], names, kind, width) for kind in kinds]
    spec = charts.chart([], width=0, height=0, vconcat=panels)
    for key in ("width", "height", "autosize"):
        del spec[key]
    return spec


def _panel(values: Sequence[Json], names: Sequence[str], kind: str, width: int) -> Json:
    y = charts.rows_axis(names)
    most = max(value["mb"] for value in values)
    x = charts.number_axis("mb", "MB", scale={"domain": [0, 1.25 * most]}, axis={"tickCount": 4})
    return {
        "title": kind,
        "width": width - 130,
        "height": {"step": 24},
        "data": {"values": list(values)},
        "layer": [
            {"mark": {"type": "bar", "color": charts.ACCENT, "height": 14}, "encoding": {"y": y, "x": x}},
            {
                "mark": {"type": "text", "align": "left", "dx": 5},
                "encoding": {"y": y, "x": x, "text": {"field": "text"}},
            },
        ],
    }
