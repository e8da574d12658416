"""Whether a recipe keeps the budget: by the best measurement there is, else by the prediction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.measure.memory_facts import BudgetFacts
from pytest_qeval.summary.memory import MemoryUse, summarize_memory
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import memory, prediction, session

GB = 10**9


def used(*, budget: int | None, measured: int | None, run: int | None, predicted: int = 2 * GB) -> MemoryUse:
    costs = replace(summarize(session("+", "+")).efficiency["int8"], peak_memory_bytes=run)
    facts = (
        BudgetFacts(recipe="int8", budget_bytes=budget, predicted=prediction(peak_bytes=predicted)) if budget else None
    )
    return summarize_memory(
        ["int8"],
        {"int8": facts} if facts else {},
        {"int8": memory(peak_bytes=measured)} if measured else {},
        {"int8": costs},
    )["int8"]


@pytest.mark.parametrize(
    ("measured", "run", "peak", "origin", "over"),
    [
        (3 * GB, 5 * GB, 3 * GB, "fresh process", -GB),
        (None, 5 * GB, 5 * GB, "process of the run", GB),
        (None, None, None, "", -2 * GB),
    ],
    ids=["fresh", "the run's", "predicted"],
)
def test_the_peak_is_the_most_certain_one(
    measured: int | None, run: int | None, peak: int | None, origin: str, over: int
) -> None:
    """A fresh process has no memory of other recipes; without any measurement the prediction counts."""
    found = used(budget=4 * GB, measured=measured, run=run)
    assert (found.peak_bytes, found.peak_origin, found.over_bytes, found.fits) == (peak, origin, over, over <= 0)


def test_without_a_budget_nothing_fits_or_fails() -> None:
    found = used(budget=None, measured=3 * GB, run=None)
    assert (found.budget_bytes, found.over_bytes, found.fits) == (None, None, None)


def test_a_recipe_of_which_nothing_is_known_is_left_out() -> None:
    assert summarize(session("+", "+")).memory == {}
