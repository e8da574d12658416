"""Self-test results from planned cases and records."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.benchmarks.selftest import RECIPES
from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.selftest import SelftestResult, selftest_results
from tests.unit.summary.builders import case, record

SOUND = {"reference": "++", "empty": "--", "constant": "--", "spoof": "-t"}


def result(**outcomes: str) -> SelftestResult:
    """Run the self-test of two problems, given as one letter a problem; a blank is a lost case."""
    records: dict[tuple[str, Case], Record] = {
        (recipe, case(number)): record(recipe, number, letter)
        for recipe, letters in {**SOUND, **outcomes}.items()
        for number, letter in enumerate(letters)
        if letter != " "
    }
    planned = [(recipe, case(number)) for recipe in RECIPES for number in range(2)]
    return selftest_results(planned, records)["micro"]


def test_a_sound_harness_holds() -> None:
    assert result() == SelftestResult(references=2, references_passed=2, broken=6, broken_failed=6, wrong=())
    assert result().holds


def test_wrong_outcomes_are_named_with_their_recipe() -> None:
    """A reference that fails, and a broken body that passes."""
    found = result(reference="+-", spoof="+-")

    assert (found.references_passed, found.broken_failed, found.holds) == (1, 5, False)
    assert found.wrong == ("micro/1 (reference)", "micro/0 (spoof)")


def test_a_lost_case_is_no_success() -> None:
    """The denominator is the plan; a lost case is not wrong either."""
    found = result(reference="+ ")

    assert (found.references, found.references_passed, found.wrong, found.holds) == (2, 1, (), False)


def test_benchmarks_are_counted_apart() -> None:
    """MBPP has two forms with the same task ids."""
    other = replace(case(0), benchmark="other")
    found = {("reference", case(0)): record("reference", 0, "+")}

    assert selftest_results([("reference", case(0)), ("reference", other)], found) == {
        "micro": SelftestResult(references=1, references_passed=1, broken=0, broken_failed=0, wrong=()),
        "other": SelftestResult(references=1, references_passed=0, broken=0, broken_failed=0, wrong=()),
    }
