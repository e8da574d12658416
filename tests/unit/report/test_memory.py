"""The lines about memory: a table of fresh processes, and a line for every budget."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pytest_qeval.measure.memory_facts import BudgetFacts
from pytest_qeval.report.fit import fit_lines
from pytest_qeval.report.memory import memory_lines
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import memory, prediction, session

GB = 10**9


def shown(**fields: Any) -> list[str]:
    return [line.text for line in memory_lines(summarize(replace(session("+", "+"), **fields)))]


def test_nothing_is_shown_where_nothing_is_known() -> None:
    assert shown() == []


def test_every_phase_has_its_peak_and_what_it_is_made_of() -> None:
    """The predicted peak stands beside, with its error."""
    text = "\n".join(shown(memory={"int8": memory()}))
    assert "900 MB (0.00 + 0.00 + 0.00)" in text
    assert "peak while quantizing" in text
    assert "2.00 GB (+11%)" in text
    assert "24.6 kB, by formula 24.6 kB" in text


def test_a_budget_is_kept_or_exceeded_by_so_much() -> None:
    budgets = {
        name: BudgetFacts(recipe=name, budget_bytes=size, predicted=prediction(name))
        for name, size in (("auto", 3 * GB), ("int8", GB))
    }
    assert shown(memory={"int8": memory()}, budgets=budgets)[-2:] == [
        "  auto: budget 3.00 GB: fits, 3.00 GB to spare; peak predicted 2.00 GB, measured 5 kB (process of the run)",
        "  int8: budget 1.00 GB: exceeds it by 800 MB; peak predicted 2.00 GB, measured 1.80 GB (fresh process)",
    ]


def test_a_simulated_peak_is_not_the_recipes() -> None:
    assert any("not the recipe's" in line for line in shown(memory={"int8": memory(simulated=True)}))


def test_a_quantized_cache_is_compared_as_it_is_held() -> None:
    """Beside it stands the size that its recipe would have."""
    known = prediction()
    small = replace(known, cache_bytes=12288, held_cache_bytes=24576)
    measured = memory(simulated=True)
    text = "\n".join(shown(memory={"int8": replace(measured, predicted=small)}))
    assert "24.6 kB, by formula 24.6 kB (12.3 kB packed)" in text
    predicted = "\n".join(line.text for line in fit_lines("m", [small], budget_bytes=GB, budget_origin="x"))
    assert re.search(r"cache of the batch +12.3 kB\n  cache as held in memory +24.6 kB\n", predicted)


def test_the_table_of_predictions_says_what_fits() -> None:
    lines = [line.text for line in fit_lines("a model", [prediction()], budget_bytes=GB, budget_origin="an option")]
    assert lines[:2] == ["a model", "budget: 1.00 GB (an option); all numbers are estimated"]
    assert lines[-2] == (
        "  int8: does not fit: 1.00 GB too much (peak 2.00 GB, 4 × 512 tokens); longest context at batch 1: 4096; "
        "widest batch: 9 at 1024 tokens"
    )
    assert lines[-1] == "    a note"
