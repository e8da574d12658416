"""Which blocks of the model suffer most from quantization."""

from __future__ import annotations

from functools import partial

from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Figure, Section, cell, name, table
from pytest_qeval.schema import Json
from pytest_qeval.summary.results import Summary

_LEAD = (
    "Each block of the model was quantized alone. The bars show how far that moved the predictions. The blocks on "
    "top are those to keep in full precision first."
)
_MOST_BLOCKS = 24


def sensitivity_section(summary: Summary) -> Section | None:
    """Return the section, with one figure for each recipe."""
    found = [one for one in summary.sensitivity.values() if one.blocks]
    blocks = tuple(_figure(one, number) for number, one in enumerate(found))
    return Section(name="sensitivity", title="Sensitive blocks", lead=_LEAD, blocks=blocks) if blocks else None


def _figure(facts: SensitivityFacts, number: int) -> Figure:
    first = facts.blocks[0]
    head = ("Block", "KL, nats per token", "Same first choice", "Layers")
    rows = [
        (
            name(one.name),
            cell(f"{one.kl:.2g}", one.kl),
            cell(f"{one.same_top1:.1%}", one.same_top1),
            cell(str(one.layers), one.layers),
        )
        for one in facts.blocks
    ]
    more = f" The first {_MOST_BLOCKS} of {len(facts.blocks)} are drawn." if len(facts.blocks) > _MOST_BLOCKS else ""
    return Figure(
        name=f"sensitivity-{number}",
        title=f"Blocks quantized alone by {facts.recipe}",
        description=f"Most sensitive is {first.name}, with a KL of {first.kl:.2g} nats per token.{more}",
        draw=partial(_draw, facts),
        table=table(f"{facts.tokens} tokens of {facts.texts} solutions", head, rows, numeric=(1, 2, 3)),
    )


def _draw(facts: SensitivityFacts, width: int) -> Json:
    shown = facts.blocks[:_MOST_BLOCKS]
    names = charts.unique_labels([one.name for one in shown])
    values = [{"row": row, "kl": one.kl} for row, one in zip(names, shown, strict=True)]
    return charts.chart(
        values,
        width=width,
        height={"step": 20},
        mark={"type": "bar", "color": charts.ACCENT, "height": 13},
        encoding={
            "y": charts.rows_axis(names),
            "x": charts.number_axis("kl", "KL, nats per token", axis={"format": "~g", "tickCount": 4}),
        },
    )
