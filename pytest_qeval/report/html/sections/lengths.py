"""How many tokens completions have, as distributions."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil

from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Cell, Figure, Section, Text, cell, name, table
from pytest_qeval.report.text import value_and_interval
from pytest_qeval.schema import Case, Json, Quantity, Record
from pytest_qeval.stats.intervals import NO_PROBLEM
from pytest_qeval.summary.length import Lengths
from pytest_qeval.summary.results import Summary

_LEAD = (
    "A model that writes more is slower, whatever its kernels do. Each panel shows how many completions have which "
    "length; its bars have a scale of their own. The axis doubles at each step. A loop is a completion that ends "
    "by repeating itself."
)
_GROWTH = 1.2
_MOST_FIGURES = 4
_PANEL = 46
_AROUND = 175
"""Pixels of a plot beside its panels."""
_SHARES = (0.1, 0.5, 0.9)


def lengths_section(summary: Summary, records: Mapping[tuple[str, Case], Record]) -> Section | None:
    """Return the section, with one figure for each benchmark, four at most."""
    counts = _token_counts(summary, records)
    shown = list(counts)[:_MOST_FIGURES]
    blocks = [_figure(summary, benchmark, counts[benchmark], number) for number, benchmark in enumerate(shown)]
    if not blocks:
        return None
    left_out = list(counts)[_MOST_FIGURES:]
    notes = [Text(text=f"Not drawn, but in report.json: {', '.join(left_out)}.", tone="mute")] if left_out else []
    return Section(name="lengths", title="How long completions are", lead=_LEAD, blocks=(*blocks, *notes))


def _token_counts(summary: Summary, records: Mapping[tuple[str, Case], Record]) -> dict[str, dict[str, list[int]]]:
    """Return the numbers of tokens of nominal completions, by benchmark and recipe; only where all are known."""
    found: dict[str, dict[str, list[int]]] = {}
    for result in summary.lengths.results:
        own = [
            sample.completion.n_tokens
            for (recipe, case), record in records.items()
            if recipe == result.recipe and case.benchmark == result.benchmark and case.is_own
            for sample in record.samples
        ]
        known = sorted(count for count in own if count is not None)
        if known and len(known) == len(own):
            found.setdefault(result.benchmark, {})[result.recipe] = known
    return found


def _figure(summary: Summary, benchmark: str, counts: Mapping[str, Sequence[int]], number: int) -> Figure:
    lengths = {one.recipe: one.lengths for one in summary.lengths.results if one.benchmark == benchmark}
    ratios = {one.recipe: one.token_ratio for one in summary.lengths.comparisons if one.benchmark == benchmark}
    head = ("Recipe", "Mean", "10th percentile", "Median", "90th percentile", "Ratio to baseline", "Cut off", "Loops")
    rows = [
        (name(recipe), *_spread(lengths[recipe], values), _ratio(ratios.get(recipe)), *_ends(lengths[recipe]))
        for recipe, values in counts.items()
    ]
    longest = max(counts, key=lambda recipe: counts[recipe][len(counts[recipe]) // 2])
    return Figure(
        name=f"lengths-{number}",
        title=f"Tokens per completion of {benchmark}",
        description=(
            f"A histogram for each of {len(counts)} recipes; bars are shares of its completions. {longest} has the "
            "longest median completion."
        ),
        draw=partial(_draw, counts),
        table=table("Tokens per completion", head, rows, numeric=range(1, 8)),
    )


def _ratio(found: Quantity | None) -> Cell:
    if found is None:
        return cell("baseline")
    return cell(" ".join(value_and_interval(found, "{:.2f}".format, interval="[{}, {}]")))


def _spread(lengths: Lengths, values: Sequence[int]) -> tuple[Cell, ...]:
    mean = value_and_interval(lengths.tokens or NO_PROBLEM, "{:.0f}".format)[0]
    quantiles = (values[min(ceil(share * len(values)), len(values)) - 1] for share in _SHARES)
    return (cell(mean), *(cell(str(value), value) for value in quantiles))


def _ends(lengths: Lengths) -> tuple[Cell, ...]:
    counts = (lengths.truncated.count, lengths.loops.count)
    return tuple(cell("–" if count is None else str(count), count) for count in counts)


def _draw(counts: Mapping[str, Sequence[int]], width: int) -> Json:
    names = charts.unique_labels(list(counts))
    edges = _edges(min(own[0] for own in counts.values()), max(own[-1] for own in counts.values()))
    values = [
        {"recipe": row, "from": edges[at], "to": edges[at + 1], "share": count / len(own)}
        for row, own in zip(names, counts.values(), strict=True)
        for at, count in _histogram(own, edges).items()
    ]
    scale = {"type": "log", "base": 2, "domain": [edges[0], edges[-1]], "nice": False}
    spec = charts.chart(
        values,
        width=width - _AROUND,
        height=_PANEL,
        mark={"type": "rect", "color": charts.ACCENT, "stroke": charts.CARD},
        encoding={
            "row": {
                "field": "recipe",
                "sort": names,
                "title": None,
                "header": {"labelAngle": 0, "labelAlign": "left", "labelLimit": _AROUND - 75},
                "spacing": 8,
            },
            "x": charts.number_axis("from", "tokens", scale=scale, axis={"grid": False, "format": "d", "tickCount": 8}),
            "x2": {"field": "to"},
            "y": {"field": "share", "type": "quantitative", "axis": None},
            "y2": {"datum": 0},
        },
    )
    del spec["autosize"]
    spec["resolve"] = {"scale": {"y": "independent"}}
    return spec


def _edges(least: int, most: int) -> list[int]:
    """Return the edges of bins, each about a fifth wider than the one before: lengths differ by factors."""
    edges = [max(least, 1)]
    while edges[-1] <= most:
        edges.append(max(edges[-1] + 1, ceil(edges[-1] * _GROWTH)))
    return edges


def _histogram(values: Sequence[int], edges: Sequence[int]) -> dict[int, int]:
    """Count values by bin; an empty completion counts in the first one."""
    return dict(Counter(max(bisect_right(edges, value) - 1, 0) for value in values))
