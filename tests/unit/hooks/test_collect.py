"""The order of tests, and what the suite efficiency measures in a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qeval.config.suites import measures_efficiency
from pytest_qeval.hooks.collect import _sort
from pytest_qeval.hooks.share import scope_of
from pytest_qeval.verdict.gates.grammar import parse_gate


def item(recipe: str | None, workload: str | None = None) -> Any:
    """Make a collected test."""
    params = {"qeval_recipe": recipe} | ({"workload": workload} if workload else {})
    return SimpleNamespace(
        callspec=SimpleNamespace(params=params) if recipe else None, get_closest_marker=lambda _: None
    )


def test_what_is_timed_beside_other_recipes_comes_last() -> None:
    """A single stream stays with its recipe, whose engine is open; ordinary tests stay where they are."""
    names = [
        ("int8", "decode-1"),
        (None, None),
        ("int8", None),
        ("auto", "decode-1"),
        ("auto", "stream"),
        ("auto", None),
    ]
    items = {name: item(*name) for name in names}
    found = list(items.values())
    _sort(found, ["auto", "int8"])
    places = [next(name for name, one in items.items() if one is wanted) for wanted in found]

    assert places == [
        ("auto", "stream"),
        (None, None),
        ("auto", None),
        ("int8", None),
        ("auto", "decode-1"),
        ("int8", "decode-1"),
    ]


@pytest.mark.parametrize(("workload", "scope"), [("decode-1", "qeval efficiency"), ("stream", None), (None, None)])
def test_what_is_timed_beside_other_recipes_stays_on_one_worker(workload: str | None, scope: str | None) -> None:
    assert scope_of(item("int8", workload), "load") == scope


@pytest.mark.parametrize(
    ("suites", "gates", "whole"),
    [
        ((), (), False),
        (("micro", "efficiency"), (), True),
        (("micro",), (), False),
        ((), ("decode ratio >= 1.2x",), True),
        ((), ("p90 ttft <= 1s",), True),
        ((), ("single_stream ratio <= 1",), False),
    ],
)
def test_everything_is_measured_where_it_is_asked_for(
    suites: tuple[str, ...], gates: tuple[str, ...], *, whole: bool
) -> None:
    """By the suite's name, or by a gate that needs it; other runs measure a single stream."""
    settings: Any = SimpleNamespace(suites=suites, gates=tuple(map(parse_gate, gates)))

    assert measures_efficiency(settings) == whole
