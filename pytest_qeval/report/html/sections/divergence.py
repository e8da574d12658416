"""How far the next-token distributions are from the baseline's, problem by problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256

from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Cell, Figure, Section, Table, cell, name, table
from pytest_qeval.report.text import value_and_interval
from pytest_qeval.schema import Estimate, Json
from pytest_qeval.summary.divergence import DivergenceSummary
from pytest_qeval.summary.results import Summary

_LEAD = (
    "Both models read the same solutions. The KL divergence says how differently they predict the next token: 0 "
    "means alike. Each mark is one problem. A cross is a problem whose outcome changed. If there is a control, the "
    "dashed line is its mean: the divergence of the baseline from itself, below which nothing can be told apart. "
    "Near the baseline, KL does not rank recipes: compare those by the problems that they solve."
)
_LEAST = 1e-7
"""Smaller divergences, and those of exactly 0, are drawn here: nats per token."""
_PERCENTILES = (("p50", "Median token"), ("p90", "p90"), ("p99", "p99"), ("max", "Largest"))


def divergence_section(summary: Summary) -> Section | None:
    """Return the section."""
    found = {name: one for name, one in summary.divergence.items() if one.facts.problems}
    if not found:
        return None
    flips = {
        name: {
            label
            for one in summary.comparisons
            if (one.recipe, one.benchmark) == (name, found[name].facts.benchmark)
            for label in (*one.regressed, *one.fixed)
        }
        for name in found
    }
    texts = next(iter(found.values())).facts
    figure = Figure(
        name="divergence",
        title=f"KL divergence from {texts.baseline}, mean of each {texts.benchmark} {texts.texts[:-1]}",
        description=_describe(found),
        draw=partial(_draw, found, flips),
        table=_table(found),
    )
    return Section(name="divergence", title="How far predictions moved", lead=_LEAD, blocks=(figure,))


def _describe(found: Mapping[str, DivergenceSummary]) -> str:
    means = (f"{name} {_value(one)}" for name, one in found.items())
    return f"One mark for each problem and recipe, on a logarithmic axis. Mean KL: {', '.join(means)} nats per token."


def _value(one: DivergenceSummary) -> str:
    return value_and_interval(one.means["kl"], "{:.2g}".format)[0]


def _table(found: Mapping[str, DivergenceSummary]) -> Table:
    head = ("Recipe", "Mean KL, nats", "95 % interval", *(title for _, title in _PERCENTILES), "Same first choice")
    head = (*head, "Control’s KL")
    rows = [(name(recipe), *_cells(one)) for recipe, one in found.items()]
    return table("Divergence of each recipe over all tokens", head, rows, numeric=range(1, 9))


def _cells(one: DivergenceSummary) -> Iterator[Cell]:
    kl = one.means["kl"]
    value, interval = value_and_interval(kl, "{:.3g}".format, interval="[{}, {}]")
    yield cell(value, kl.value if isinstance(kl, Estimate) else None)
    yield cell(interval)
    for key, _ in _PERCENTILES:
        share = one.facts.kl_percentiles[key]
        yield cell(f"{share:.2g}", share)
    yield cell(value_and_interval(one.means["same_top1"], "{:.2%}".format)[0])
    yield cell(value_and_interval(one.floor, "{:.2g}".format)[0] if one.floor else "–")


def _draw(found: Mapping[str, DivergenceSummary], flips: Mapping[str, set[str]], width: int) -> Json:
    names = charts.unique_labels(list(found))
    values = [
        {
            "row": row,
            "kl": max(problem.mean_kl, _LEAST),
            "at": _jitter(problem.task_id),
            "outcome": "changed" if problem.task_id in flips[recipe] else "the same",
        }
        for row, (recipe, one) in zip(names, found.items(), strict=True)
        for problem in one.facts.problems
    ]
    kinds = ["the same", "changed"]
    of_kind: Json = {"field": "outcome", "type": "nominal", "title": "outcome"}
    title = f"nats per token ({_LEAST:g}: that or less)"
    x = charts.number_axis(
        "kl", title, scale={"type": "log"}, axis={"format": "~e", "tickCount": 6, "labelOverlap": True}
    )
    y = charts.rows_axis(names)
    layers: list[Json] = [
        {
            "mark": {"type": "point", "size": 40, "opacity": 0.8, "strokeWidth": 1.6},
            "encoding": {
                "x": x,
                "y": y,
                "yOffset": {"field": "at", "type": "quantitative", "scale": {"domain": [0, 1]}},
                "shape": {**of_kind, "scale": {"domain": kinds, "range": ["circle", "cross"]}},
                "color": {**of_kind, "scale": {"domain": kinds, "range": [charts.ACCENT, charts.BAD]}},
            },
        },
        *_floor(list(found.values())),
    ]
    return charts.chart(values, width=width, height={"step": 1.6 * charts.ROW}, layer=layers)


def _floor(found: Sequence[DivergenceSummary]) -> list[Json]:
    floor = next((one.floor.value for one in found if isinstance(one.floor, Estimate)), None)
    if floor is None:
        return []
    mark = {"type": "rule", "color": charts.WARN, "strokeWidth": 2, "strokeDash": [5, 4]}
    return [{"mark": mark, "encoding": {"x": {"datum": max(floor, _LEAST), "type": "quantitative"}}}]


def _jitter(task_id: str) -> float:
    """Spread marks over their row, each problem at the same height in every row and every report."""
    return 0.15 + 0.7 * sha256(task_id.encode(errors="replace")).digest()[0] / 255
