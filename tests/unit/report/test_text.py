"""Numbers, tables and labels of the terminal summary."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_qeval.facts import RecipeFacts
from pytest_qeval.report.text import (
    Line,
    align,
    change,
    describe_recipe,
    excluded_lines,
    model_name,
    p_value,
    percent,
    points,
    shorten,
    value_and_interval,
)
from pytest_qeval.schema import Estimate, Undefined
from tests.unit.summary.builders import HEADER


def estimate(value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=4, method="some")


@pytest.mark.parametrize(
    ("found", "number", "cells"),
    [
        (estimate(0.652, 0.548, 0.743), percent, ("65.2%", "54.8% – 74.3%")),
        (estimate(-0.5, None, None), percent, ("−50.0%", "none: some")),
        (estimate(-0.0123, -0.03, 0.01), points, ("−1.2", "−3.0 – +1.0")),
        (Undefined(reason="nothing was run"), percent, ("–", "nothing was run")),
    ],
    ids=["share", "no interval", "points", "undefined"],
)
def test_a_quantity_is_a_value_and_an_interval(
    found: Estimate | Undefined, number: Callable[[float], str], cells: tuple[str, str]
) -> None:
    assert value_and_interval(found, number) == cells


def test_a_change_has_its_interval_or_the_reason_why_there_is_none() -> None:
    assert change(estimate(-0.012, -0.03, 0.006)) == "−1.2 pt [−3.0, +0.6]"
    assert change(estimate(0.2, None, None)) == "+20.0 pt none: some"
    assert change(estimate(0.2, 0.1, 0.3), unit="") == "+20.0 [+10.0, +30.0]"


def test_a_corrected_p_value_is_shown_where_it_differs() -> None:
    assert p_value(1.0, 1.0) == "p = 1"
    assert p_value(6.94e-18, 1.388e-17) == "p = 6.9e-18 (1.4e-17 corrected)"


def test_twelve_labels_are_shown_and_the_others_counted() -> None:
    labels = [str(number) for number in range(14)]

    assert shorten(labels[:12]) == ", ".join(labels[:12])
    assert shorten(labels) == f"{', '.join(labels[:12])} … and 2 more"


def test_columns_are_aligned() -> None:
    rows = [["a", "bb", "c"], ["aaa", "b", ""]]

    assert align(rows) == ["a    bb  c", "aaa  b"]
    assert align(rows, right=True) == ["a    bb  c", "aaa   b"]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (None, "not loaded"),
        (
            RecipeFacts(name="auto", role="baseline", summary="", execution="full precision", dtype="float32"),
            "float32 baseline",
        ),
        (RecipeFacts(name="int8", role="candidate", summary="", execution="native", scheme="W8A8"), "W8A8 native"),
        (RecipeFacts(name="replay", role="candidate", summary=""), "replay"),
    ],
)
def test_a_recipe_is_described_by_scheme_execution_and_role(facts: RecipeFacts | None, text: str) -> None:
    assert describe_recipe(facts) == text


def test_excluded_problems_are_listed_by_reason() -> None:
    """A score over fewer problems than the data has says so, on one line."""
    excluded = {"micro/90": "too slow", "micro/91": "of a class", "micro/92": "too slow"}

    assert list(excluded_lines("micro", {"problems": 8, "excluded": excluded})) == [
        Line("  micro: 3 of 11 problems left out: micro/90, micro/92 (too slow); micro/91 (of a class)")
    ]
    assert list(excluded_lines("micro", {"problems": 8})) == []


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("/models/coder-0.5b", "coder-0.5b"),
        ("./coder.gguf", "coder.gguf"),
        ("Qwen/Qwen2.5-Coder-0.5B", "Qwen/Qwen2.5-Coder-0.5B"),
        ("demo", "demo"),
        ("/", "/"),
    ],
)
def test_a_title_has_no_folders(model: str, name: str) -> None:
    assert model_name(replace(HEADER, model={"id": model})) == name
