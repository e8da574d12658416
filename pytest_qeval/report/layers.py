"""`layers.csv`: how each layer was quantized, one line per recipe and layer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from pytest_qeval.facts import RecipeFacts

__all__ = ["layers_csv"]

_COLUMNS = (
    *("recipe", "layer", "out_features", "in_features", "bits", "granularity"),
    *("kept", "execution", "bytes_before", "bytes_after"),
)


def layers_csv(recipes: Iterable[RecipeFacts]) -> str:
    """Return the table; empty if no recipe has layers."""
    rows = [_row(facts, layer) for facts in recipes for layer in facts.layers]
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _row(facts: RecipeFacts, layer: dict[str, object]) -> tuple[object, ...]:
    shape = layer["shape"]
    assert isinstance(shape, (list, tuple))  # noqa: S101 - as `LayerRecord` says
    kept = "kept" if layer["kept"] else ""
    named = (layer[name] for name in ("execution", "bytes_before", "bytes_after"))
    return (facts.name, layer["name"], *shape, layer["bits"], layer["granularity"], kept, *named)
