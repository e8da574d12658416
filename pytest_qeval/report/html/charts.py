"""What the plots share: their look, and the shapes and colours of what they show.

Plots are Vega-Lite specifications: plain data, drawn to SVG without a browser or a network. Their SVG has attributes
instead of styles, so that a strict Content-Security-Policy lets it through, and takes the page's colours as CSS
variables, so that one drawing serves both themes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_qeval.report.visible import one_line
from pytest_qeval.schema import Evidence, Json

INK, MUTE, LINE, CARD = "currentColor", "var(--mute)", "var(--line)", "var(--card)"
ACCENT, GOOD, BAD, WARN = "var(--accent)", "var(--good)", "var(--bad)", "var(--warn)"
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")
COLOURS = tuple(f"var(--series-{number})" for number in range(6))
EVIDENCE: Mapping[Evidence, tuple[str, str]] = {
    "not worse": ("circle", GOOD),
    "unproven": ("diamond", WARN),
    "worse": ("triangle-down", BAD),
}
"""Shape and colour."""
ROW = 30
"""Height of a row in pixels."""
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_LONGEST_LABEL = 36


def chart(values: Sequence[Json], *, width: int, height: float | Json, **parts: object) -> Json:
    """Return a specification with the page's look around its parts."""
    return {
        "$schema": _SCHEMA,
        "data": {"values": list(values)},
        "width": width,
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 14, "top": 5, "right": 5, "bottom": 5},
        "background": None,
        "config": LOOK,
        **parts,
    }


LOOK: Json = {
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": LINE,
        "domainColor": MUTE,
        "tickColor": MUTE,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelLimit": 230,
        "labelPadding": 6,
        "tickCount": 7,
    },
    "legend": {
        "orient": "bottom",
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "symbolSize": 110,
        "columns": 3,
        "columnPadding": 18,
    },
    "header": {"labelColor": INK, "titleColor": INK, "labelFontSize": 13, "labelFontWeight": "bold"},
    "text": {"color": INK, "fontSize": 13},
    "title": {"color": INK, "fontSize": 13, "anchor": "start"},
}


def label(text: str, *, longest: int = _LONGEST_LABEL) -> str:
    """Return a name as a plot shows it."""
    return one_line(text, longest=longest)


def unique_labels(texts: Sequence[str]) -> list[str]:
    """Return names as a plot shows them, told apart by numbers where cutting makes two of them the same."""
    seen: dict[str, int] = {}
    found = []
    for text in map(label, texts):
        seen[text] = seen.get(text, 0) + 1
        found.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return found


def series(names: Sequence[str]) -> tuple[Json, Json]:
    """Return the encodings of colour and shape for one value per recipe, which share a legend."""
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(names))]
    shapes = [SHAPES[number % len(SHAPES)] for number in range(len(names))]
    common: Json = {"field": "recipe", "type": "nominal", "title": None, "sort": list(names)}
    return (
        {**common, "scale": {"domain": list(names), "range": colours}},
        {**common, "scale": {"domain": list(names), "range": shapes}},
    )


def rows_axis(names: Sequence[str]) -> Json:
    """Return the encoding of rows with a name each, in the order given."""
    return {"field": "row", "type": "nominal", "sort": list(names), "title": None, "axis": {"ticks": False}}


def number_axis(field: str, title: str, **more: object) -> Json:
    """Return the encoding of a number along the x-axis."""
    return {"field": field, "type": "quantitative", "title": title, **more}
