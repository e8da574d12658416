"""`layers.csv`: how each layer was quantized, one line per recipe and layer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from pytest_qeval.facts import RecipeFacts
from pytest_qeval.schema import Json

_COLUMNS = (
    *("recipe", "layer", "out_features", "in_features", "bits", "granularity"),
    *("kept", "execution", "bytes_before", "bytes_after"),
)


def layers_csv(recipes: Iterable[RecipeFacts]) -> str:
    """Return the table; empty if no recipe has layers."""
    rows = [[facts.name, *_cells(layer)] for facts in recipes for layer in facts.layers]
    text = io.StringIO()
    if rows:
        csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *rows])
    return text.getvalue()


def _cells(layer: Json) -> list[object]:
    marked = {**layer, "kept": "kept" if layer["kept"] else ""}
    return [layer["name"], *layer["shape"], *(marked[name] for name in _COLUMNS[4:])]
