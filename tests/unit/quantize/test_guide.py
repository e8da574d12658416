"""The page about recipes is made from the recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qeval.quantize.builtin import RECIPES
from pytest_qeval.quantize.grammar import parse_recipe
from pytest_qeval.quantize.guide import PARTS, recipes_page

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"


@pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no docs beside its tests")
def test_the_page_is_up_to_date() -> None:
    """Else: python -m pytest_qeval.quantize.guide > docs/recipes.md."""
    assert PAGE.read_text(encoding="utf-8") == recipes_page()


def test_every_named_recipe_is_on_the_page() -> None:
    assert all(f"| `{name}` | {recipe.summary} |" in recipes_page() for name, recipe in RECIPES.items())


@pytest.mark.parametrize("part", [part for part, _ in PARTS])
def test_every_part_of_a_scheme_that_is_explained_exists(part: str) -> None:
    """A part alone is put behind a scheme that it fits."""
    scheme = part if part.startswith("w") else f"w8a8{part}"
    assert parse_recipe(scheme).name == scheme
