"""Recipes side by side: what they solve against what they cost, and which one to take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pytest_qeval.report.choice import RULE, Option, Pick, options_of, pick
from pytest_qeval.report.cost_ratios import amount, cost_ratios
from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Cell, Figure, Section, Table, Text, cell, name, table
from pytest_qeval.report.text import percent, value_and_interval
from pytest_qeval.schema import Json
from pytest_qeval.summary.results import GateResult, Summary

_LEAD = (
    "Up is better, left is cheaper. A recipe is dominated if another one, as observed, solves at least as much and "
    "costs no more in anything that is known of it: there is no reason to take it. Costs are of this machine."
)
_PANELS = (
    ("bytes", "weights, MB", 1e-6),
    ("ms", "ms per token, one request", 1.0),
    ("wh", "energy of generating, Wh", 1.0),
)
_NARROW = 500
_PANEL_HEIGHT = 210
_LOW = 0.15
"""Of a recipe that solves less, the name would stand on the axis."""
_KINDS = {
    "baseline": ("square", charts.INK),
    "breaks no gate": ("circle", charts.ACCENT),
    "dominated": ("diamond", charts.WARN),
    "breaks a gate, or is worse": ("triangle-down", charts.BAD),
}
"""Shape and colour."""


def choice_section(summary: Summary, gates: Sequence[GateResult]) -> Section | None:
    """Return the section."""
    options = options_of(summary, gates)
    if len(options) < 2:  # noqa: PLR2004 - a choice is among two
        return None
    chosen = pick(summary, gates, options)
    texts = () if chosen is None else _texts(chosen)
    figure = Figure(
        name="choice",
        title="What recipes solve, against what they cost",
        description=_describe(options),
        draw=partial(_draw, options),
        table=_table(options, chosen.recipe if chosen else None),
    )
    return Section(name="recipes", title="Which recipe to take", lead=_LEAD, blocks=(*texts, figure, _ratios(summary)))


def _texts(chosen: Pick) -> tuple[Text, Text]:
    text = f"Pick {chosen.recipe}. {chosen.reason}" if chosen.recipe else f"No pick. {chosen.reason}"
    return Text(text=text, tone="good" if chosen.is_proven else "warn"), Text(text=f"The rule: {RULE}", tone="mute")


def _describe(options: Sequence[Option]) -> str:
    dominated = [one.recipe for one in options if one.dominated_by]
    text = (
        f"The share of problems that each of {len(options)} recipes solves, with its interval, against what it costs."
    )
    return f"{text} Dominated: {', '.join(dominated) or 'none'}."


def _kind(option: Option) -> str:
    if not option.is_candidate:
        return "baseline"
    if option.refused:
        return "breaks a gate, or is worse"
    return "dominated" if option.dominated_by else "breaks no gate"


def _table(options: Sequence[Option], chosen: str | None) -> Table:
    head = ("Recipe", "pass@1", "95 % interval", "Weights", "ms per token, one request", "Energy, Wh", "Standing")
    rows = [_row(one, one.recipe == chosen) for one in options]
    return table("What each recipe solves and costs", head, rows, numeric=(1, 2, 3, 4, 5))


def _row(one: Option, chosen: bool) -> tuple[Cell, ...]:  # noqa: FBT001 - whether it is the pick
    value, interval = value_and_interval(one.quality, percent)
    unknown = "simulated" if one.simulated else "not measured"
    if not one.is_candidate:
        standing = cell("baseline")
    elif one.refused:
        standing = cell(one.refused, tone="bad")
    elif one.dominated_by:
        standing = cell(f"dominated by {', '.join(one.dominated_by)}", tone="warn")
    else:
        standing = cell("the pick" if chosen else "not dominated", tone="good" if chosen else "")
    return (
        name(one.recipe),
        cell(value, one.quality.value),
        cell(interval),
        cell(amount(one.model_bytes, "B"), one.model_bytes),
        cell(unknown if one.ms_per_token is None else f"{one.ms_per_token:.3g}", one.ms_per_token),
        cell(unknown if one.energy_wh is None else f"{one.energy_wh:.3g}", one.energy_wh),
        standing,
    )


def _ratios(summary: Summary) -> Table:
    rows = [
        (
            name(recipe),
            cell(one.name),
            cell(amount(one.baseline, one.unit), one.baseline),
            cell(amount(one.candidate, one.unit), one.candidate),
            cell("–" if one.ratio is None else f"{one.ratio:.2f} ×", one.ratio),
            cell(one.kind),
        )
        for recipe in summary.candidates
        for one in cost_ratios(summary, recipe)
    ]
    head = ("Recipe", "Cost", "Baseline", "Recipe’s", "Ratio", "Kind of number")
    caption = (
        "Costs beside the baseline’s. “simulated” is not the recipe’s own cost: its weights, or its cache, are "
        "rounded, but computed in floating point"
    )
    return table(caption, head, rows, numeric=(2, 3, 4))


def _draw(options: Sequence[Option], width: int) -> Json:
    costs = {one.recipe: dict(zip(("bytes", "ms", "wh"), one.costs, strict=True)) for one in options}
    shown = [panel for panel in _PANELS if any(cost[panel[0]] is not None for cost in costs.values())]
    narrow = width < _NARROW
    each = width - 60 if narrow else (width - 40) // max(len(shown), 1) - 60
    panels = [
        _panel(
            options,
            [(one, cost) for one in options if (cost := costs[one.recipe][field]) is not None],
            title,
            scale,
            each,
        )
        for field, title, scale in shown
    ]
    spec = charts.chart([], width=0, height=0, **{"vconcat" if narrow else "hconcat": panels})
    for key in ("width", "height", "autosize"):
        del spec[key]
    return spec


def _panel(
    options: Sequence[Option], drawn: Sequence[tuple[Option, float]], title: str, scale: float, width: int
) -> Json:
    most = max((scale * cost for _, cost in drawn), default=1.0)
    values = [
        {
            "x": scale * cost,
            "y": 100 * one.quality.value,
            "low": 100 * (one.quality.value if one.quality.low is None else one.quality.low),
            "high": 100 * (one.quality.value if one.quality.high is None else one.quality.high),
            "kind": _kind(one),
            "recipe": charts.label(one.recipe, longest=16),
            "place": "above" if at % 2 or one.quality.value < _LOW else "below",
        }
        for at, (one, cost) in enumerate(sorted(drawn, key=lambda pair: pair[1]))
    ]
    kinds = [kind for kind in _KINDS if any(_kind(one) == kind for one in options)]
    of_kind: Json = {"field": "kind", "type": "nominal", "title": None}
    colour = {**of_kind, "scale": {"domain": kinds, "range": [_KINDS[kind][1] for kind in kinds]}}
    shape = {**of_kind, "scale": {"domain": kinds, "range": [_KINDS[kind][0] for kind in kinds]}}
    x = charts.number_axis("x", title, scale={"domain": [0, 1.15 * most]}, axis={"tickCount": 4})
    y: Json = {"field": "y", "type": "quantitative", "title": "solved, %", "scale": {"domain": [0, 100]}}
    texts = [  # above one interval and below the next, so that neighbours leave each other room
        {
            "transform": [{"filter": f"datum.place == '{place}'"}],
            "mark": {"type": "text", "dy": dy, "baseline": "middle"},
            "encoding": {"x": x, "y": {**y, "field": end}, "text": {"field": "recipe"}},
        }
        for place, end, dy in (("above", "high", -10), ("below", "low", 12))
    ]
    return {
        "width": width,
        "height": _PANEL_HEIGHT,
        "data": {"values": values},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 130, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": colour, "shape": shape},
            },
            *texts,
        ],
    }
