"""Results of recipes on benchmarks whose completions are executed."""

from __future__ import annotations

import pytest

from pytest_qeval.schema import Estimate
from pytest_qeval.stats.intervals import mean_of_problems, proportion
from pytest_qeval.summary.pass_rates import BenchmarkResult, benchmark_results
from tests.unit.summary.builders import case, record


def result(words: str) -> BenchmarkResult:
    """Summarize problems that are given as words, one letter a sample; `.` is a lost case."""
    outcomes = list(enumerate(words.split()))
    records = {("int8", case(number)): record("int8", number, word) for number, word in outcomes if word != "."}
    (found,) = benchmark_results({("micro", "int8"): [case(number) for number, _ in outcomes]}, records)
    return found


def test_failures_are_counted_by_status() -> None:
    """A timeout is not a wrong completion; the most frequent status comes first."""
    found = result("+ t - -")

    assert list(found.failures.items()) == [("failed", 2), ("timeout", 1)]
    assert (found.solved, found.unsolved) == (("micro/0",), ("micro/1", "micro/2", "micro/3"))


def test_a_lost_case_is_missing_and_not_unsolved() -> None:
    found = result("+ . -")

    assert (found.missing, found.received) == (1, 2)
    assert found.pass_at == {1: proportion(1, 2)}


def test_an_unsupported_case_is_missing_and_says_why() -> None:
    """It is no failure of the model; one such sample among several leaves the share of passing ones unknown."""
    found = result("+ ? -")

    assert (found.missing, found.received) == (1, 2)
    assert found.unsupported == {"micro/1": "unsupported: the test compares"}
    assert (found.failures, found.pass_at) == ({"failed": 1}, {1: proportion(1, 2)})
    assert result("++ +?").pass_at == {1: mean_of_problems([1.0])}


def test_several_samples_have_every_k_that_there_are_samples_for() -> None:
    """The fewest samples of any problem decide; one passing sample solves a problem."""
    found = result("+---- +++++++ -----")

    assert found.pass_at == {1: mean_of_problems([0.2, 1.0, 0.0]), 5: mean_of_problems([1.0, 1.0, 0.0])}
    assert found.solved == ("micro/0", "micro/1")


def test_without_records_pass_at_1_is_undefined() -> None:
    assert not isinstance(result(".").pass_at[1], Estimate)
    assert result(".").pass_at == {1: proportion(0, 0)}


@pytest.mark.parametrize(("words", "k"), [("+", {1}), ("+- +-", {1}), ("+---- -----", {1, 5})])
def test_reported_k(words: str, k: set[int]) -> None:
    assert result(words).pass_at.keys() == k
