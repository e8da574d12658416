"""Which recipe and case a test item has, and how its case ends the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qeval.benchmarks.selftest import describe_fault
from pytest_qeval.schema import Case, Record

if TYPE_CHECKING:
    from pytest_qeval.config.run_settings import RunSettings
    from pytest_qeval.run.outcomes import Outcomes


def recipe_of(item: pytest.Item) -> str | None:
    """Return the recipe that an item needs; None for an ordinary test."""
    recipe = _parameter(item, "qeval_recipe")
    return recipe if isinstance(recipe, str) else None


def case_of(item: pytest.Item) -> Case | None:
    """Return the case of an item; None where it has none."""
    case = _parameter(item, "case")
    return case if isinstance(case, Case) else None


def workload_of(item: pytest.Item) -> str | None:
    """Return what an item of the suite `efficiency` measures; None for any other."""
    workload = _parameter(item, "workload")
    return workload if isinstance(workload, str) and recipe_of(item) else None


def name_after_suite(item: pytest.Item) -> None:
    """Let the id of a suite's test be `humaneval::int8-HumanEval/0`, wherever the suites are installed.

    pytest has no public way to give an item another id; pytest-xdist sets the same attribute. Since pytest 9.2 the id
    is an object that is parsed from the text. `-k` finds the whole id as well.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return
    text = f"{item.path.stem.removeprefix('test_').replace('_', '-')}::{callspec.id}"
    named: Any = item
    if hasattr(named, "_id"):
        named._id = type(named._id).parse(text)  # noqa: SLF001
    else:
        named._nodeid = text  # noqa: SLF001
    item.extra_keyword_matches.add(text)
    for parent in item.listchain():
        if isinstance(parent, pytest.Directory):  # `-k "not 11"` is not about `lib/python3.11`
            parent.name = "qeval"


def deselect_exactly(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests whose whole ids `--deselect` has; the other words are for pytest, which takes prefixes.

    By a prefix alone, `humaneval::int8-HumanEval/1` would be that of `HumanEval/10` and more.
    """
    asked = set(config.getoption("deselect") or ())
    chosen = [item for item in items if item.nodeid in asked]
    if chosen:
        config.option.deselect = sorted(asked.difference(item.nodeid for item in chosen))
        config.hook.pytest_deselected(items=chosen)
        items[:] = [item for item in items if item not in chosen]


def plan_of(items: Sequence[pytest.Item]) -> list[tuple[str | None, Case | None]]:
    """Return every item's recipe and case, None where it has none."""
    return [(recipe_of(item), case_of(item)) for item in items]


def _parameter(item: pytest.Item, name: str) -> object:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec else None


def end_test(record: Record, settings: RunSettings, outcomes: Outcomes) -> None:
    """End the test of an unsolved or unsupported case as an expected failure; with `--qeval-strict` a regression fails.

    A self-test has no observations: a case that does not end as it has to fails.

    Raises:
        pytest.xfail.Exception: with the record's reason.
        pytest.fail.Exception: for a regression, when the user wants those to fail, and in a self-test.
    """
    if settings.selftest:
        if fault := describe_fault(record):
            pytest.fail(fault, pytrace=False)
        return
    if record.outcome not in {"unsolved", "unsupported"}:
        return
    if record.outcome == "unsupported":
        raise pytest.xfail.Exception(record.reason, pytrace=False)
    baseline = settings.baseline
    base = outcomes.get((baseline, record.case)) if baseline and baseline != record.recipe else None
    if settings.strict and base is not None and base.outcome == "solved":
        pytest.fail(f"regressed: {baseline} solved it, {record.recipe} did not ({record.reason})", pytrace=False)
    raise pytest.xfail.Exception(f"unsolved: {record.reason}", pytrace=False)
