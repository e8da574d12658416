"""The tables of docs/recipes.md are those of the code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.quantize.builtin import RECIPES
from pytest_qeval.quantize.grammar import CACHE_PARTS, SCHEME_PARTS, describe, parse_recipe

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"
EXAMPLES = ("w8a8", "w8a8-tensor", "w8a8-static-mse", "w4a16-g128", "w3a16-g64-mse", "w8a8-mse-static-p99.9-asym-n64")


def table(head: str, rows: Iterable[tuple[str, str]]) -> str:
    """Write a table of Markdown."""
    return "".join(f"| {line} |\n" for line in (head, "--- | ---", *(f"`{name}` | {text}" for name, text in rows)))


@pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no docs beside its tests")
@pytest.mark.parametrize(
    "expected",
    [
        table("name | what it does", ((name, recipe.summary) for name, recipe in RECIPES.items())),
        table("part | meaning", SCHEME_PARTS),
        table("ending | meaning", CACHE_PARTS),
        table("scheme | in words", ((text, describe(parse_recipe(text))) for text in EXAMPLES)),
        table(
            "prefix | what it does",
            ((f"{name}:…", registry.load("quantizers", name).summary) for name in registry.names("quantizers")),
        ),
    ],
    ids=["names", "parts", "cache", "examples", "quantizers"],
)
def test_a_table_is_up_to_date(expected: str) -> None:
    """Else: copy the expected table from the failure into the page."""
    assert f"\n\n{expected}\n" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", [part for part, _ in SCHEME_PARTS])
def test_every_part_of_a_scheme_that_is_explained_exists(part: str) -> None:
    """A part alone is put behind a scheme that it fits."""
    scheme = part if part.startswith("w") else f"w8a8{part}"
    assert parse_recipe(scheme).name == scheme
