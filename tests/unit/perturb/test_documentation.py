"""The table of perturbations in docs/robustness.md is that of the registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_qeval.perturb.base import CATEGORIES
from pytest_qeval.perturb.catalogue import FULL, SCREENED, select

PAGE = Path(__file__).parents[3] / "docs" / "robustness.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no documentation beside its tests")


def table() -> Iterator[str]:
    """Return the rows, by category and name; the perturbations of the set `screen` have a star."""
    yield "| name | category | level | given | seeds | what changes | what stays |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in sorted(select([FULL]), key=lambda one: (CATEGORIES.index(one.category), one.name)):
        name = f"`{one.name}`" + " *" * (one.name in SCREENED)
        given, seeds = "half the solution" if one.form == "half" else "prompt", "any" if one.random else "one"
        cells = (name, one.category, one.level, given, seeds, one.summary, one.invariant)
        yield f"| {' | '.join(cells)} |"


def test_the_page_has_the_table() -> None:
    assert "\n".join(table()) in PAGE.read_text(encoding="utf-8")


def test_the_set_screen_has_two_of_each_category() -> None:
    chosen = [one.category for one in select(SCREENED)]

    assert {category: chosen.count(category) for category in CATEGORIES} == dict.fromkeys(CATEGORIES, 2)
