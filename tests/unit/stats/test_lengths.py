"""Means and ratios of lengths, and their intervals."""

from __future__ import annotations

from math import exp, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.lengths import mean_length, ratio_of_lengths

LIMIT = 512
lengths = st.lists(st.integers(1, LIMIT).map(float), min_size=1, max_size=30)
pairs = st.lists(st.tuples(st.integers(1, LIMIT), st.integers(1, LIMIT)), min_size=1, max_size=30)


def ends(found: Quantity) -> tuple[float, float, float]:
    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.value, found.high


def ratio(rows: list[tuple[int, int]]) -> tuple[float, float, float]:
    return ends(ratio_of_lengths([base for base, _ in rows], [own for _, own in rows], limit=LIMIT))


@given(pairs)
def test_the_ratio_is_that_of_the_sums(rows: list[tuple[int, int]]) -> None:
    """It lies inside the interval, which never has width zero."""
    low, value, high = ratio(rows)

    assert value == pytest.approx(sum(own for _, own in rows) / sum(base for base, _ in rows))
    assert 0 < low <= value <= high
    assert low < high


@given(pairs)
def test_the_interval_is_the_same_seen_from_the_other_side(rows: list[tuple[int, int]]) -> None:
    """The ratio of baseline to candidate has the inverse ends."""
    low, value, high = ratio(rows)
    inverse = ratio([(own, base) for base, own in rows])

    assert inverse == pytest.approx((1 / high, 1 / value, 1 / low))


def test_an_end_is_that_of_one_problem_more() -> None:
    """Computed by hand: three problems of mean length 100, and one whose candidate runs into the limit."""
    base, own = [50.0, 100.0, 150.0, 100.0], [50.0, 100.0, 150.0, 512.0]
    upper = sum(own) / sum(base)
    squares = sum((mine - upper * theirs) ** 2 for theirs, mine in zip(base, own, strict=True))
    reach = t.ppf(0.975, 3) * sqrt(squares / 3 / 4) / (sum(own) / 4)

    assert ratio([(50, 50), (100, 100), (150, 150)])[2] == pytest.approx(upper * exp(reach))


@pytest.mark.parametrize("length", [1, 100, 500, LIMIT])
def test_equal_completions_prove_little_where_there_are_few(length: int) -> None:
    """Even where all run into the limit: another problem may not."""
    few, many = ratio([(length, length)] * 20), ratio([(length, length)] * 500)

    assert few[0] < many[0] < 1 < many[2] < few[2]


def test_completions_longer_than_the_limit_raise_it() -> None:
    """Engines may count a token more than they were allowed."""
    found = ratio_of_lengths([10.0, 20.0], [30.0, 40.0], limit=0)

    assert found == ratio_of_lengths([10.0, 20.0], [30.0, 40.0], limit=40)


def test_without_lengths_there_is_no_ratio() -> None:
    """And none to a baseline that generated nothing."""
    assert ratio_of_lengths([], [], limit=LIMIT) == Undefined(reason="no problem was evaluated under both recipes")
    assert ratio_of_lengths([0.0], [3.0], limit=LIMIT) == Undefined(reason="the baseline generated no token")
    with pytest.raises(ValueError, match="2 lengths of the baseline cannot be paired with 1"):
        ratio_of_lengths([1.0, 2.0], [1.0], limit=LIMIT)


@given(pairs)
def test_repeated_problems_prove_no_more_than_one_of_them(rows: list[tuple[int, int]]) -> None:
    """As clusters of three they have the interval of single ones."""
    base, own = ([float(row[at]) for row in rows for _ in range(3)] for at in (0, 1))
    names = [f"c{number}" for number in range(len(rows)) for _ in range(3)]

    assert ends(ratio_of_lengths(base, own, limit=LIMIT, clusters=names)) == pytest.approx(ratio(rows))
    alone = mean_length([float(mine) for _, mine in rows], limit=LIMIT)
    assert ends(mean_length(own, limit=LIMIT, clusters=names)) == pytest.approx(ends(alone))


@given(lengths)
def test_a_mean_has_an_interval(values: list[float]) -> None:
    """Around it, with ends that lengths can have."""
    low, value, high = ends(mean_length(values, limit=LIMIT))

    assert value == pytest.approx(sum(values) / len(values))
    assert 0 < low <= value <= high
    assert low < high


def test_a_candidate_that_generates_nothing_has_the_length_0() -> None:
    assert ends(mean_length([0.0, 0.0], limit=LIMIT))[:2] == (0.0, 0.0)
    assert mean_length([], limit=LIMIT) == Undefined(reason="no problem was evaluated")


@pytest.mark.parametrize("lengths", [[1.0], [11.0] * 20, [1.0, 512.0]])
def test_a_mean_length_is_within_what_is_possible(lengths: list[float]) -> None:
    """No completion is longer than the limit, and none is shorter than a token."""
    found = mean_length(lengths, limit=512)

    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    assert 1 <= found.low <= found.value <= found.high <= 512
