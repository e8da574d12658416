"""Means of scores, and what differences of scores prove."""

from __future__ import annotations

import math
import random
from itertools import product
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, wilcoxon

from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.stats.paired import evidence_of, paired_mean
from pytest_qeval.stats.power import detectable_drop
from pytest_qeval.stats.scores import detectable_score_drop, mean_score, sign_flip_p

shares = st.floats(0, 1).map(lambda value: round(value, 6))
differences = st.lists(st.floats(-1, 1).map(lambda value: round(value, 4)), min_size=1, max_size=9)


def mean(values: list[float]) -> Estimate:
    found = mean_score(values)
    assert isinstance(found, Estimate)
    return found


def test_outcomes_of_0_and_1_have_wilsons_interval() -> None:
    """As far as Student's quantile is the normal one: with many."""
    wilson = binomtest(300, 2000).proportion_ci(method="wilson")

    found = mean([1.0] * 300 + [0.0] * 1700)
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), rel=2e-3)


@given(st.lists(shares, min_size=1, max_size=30))
def test_an_interval_is_inside_0_and_1_and_around_the_mean(values: list[float]) -> None:
    found = mean(values)

    assert found.value == pytest.approx(fmean(values))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def test_scores_that_vary_less_are_known_better() -> None:
    wide, narrow = mean([0.0, 0.6] * 20), mean([0.25, 0.35] * 20)

    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low < narrow.value == wide.value


def test_a_single_change_proves_nothing() -> None:
    """It is as far from 0 with either sign."""
    assert sign_flip_p([0.0, -1.0]) == 1.0


def test_without_a_problem_there_is_no_mean() -> None:
    assert mean_score([]) == Undefined(reason="no problem was evaluated")


@pytest.mark.parametrize(
    ("shape", "n", "least"), [((1, 5), 150, 0.92), ((0.6, 6), 150, 0.91), ((3, 4), 20, 0.92)], ids=str
)
def test_the_interval_of_a_mean_covers_it(shape: tuple[float, float], n: int, least: float) -> None:
    """Skewed as scores of sentences are; 95 % are nominal, and 400 runs distinguish them from 90 %."""
    rng, true = random.Random(3), shape[0] / sum(shape)  # noqa: S311 - a simulation
    covered = 0
    for _ in range(400):
        found = mean([rng.betavariate(*shape) for _ in range(n)])
        covered += (found.low or 0) <= true <= (found.high or 1)

    assert covered / 400 >= least


@pytest.mark.parametrize("changed", [0.05, 0.3, 0.9])
def test_the_interval_of_a_difference_covers_it(changed: float) -> None:
    """Few sentences change, or nearly all, and a change is a loss more often than a gain."""
    rng, n = random.Random(5), 150  # noqa: S311 - a simulation
    true = changed * (0.6 * -0.2 + 0.4 * 0.1)
    covered = 0
    for _ in range(200):
        deltas = [
            (-0.4 * rng.random() if rng.random() < 0.6 else 0.2 * rng.random()) if rng.random() < changed else 0.0
            for _ in range(n)
        ]
        found = paired_mean([0.5] * n, [0.5 + delta for delta in deltas])
        assert isinstance(found, Estimate)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high

    assert covered / 200 >= 0.87  # with eight of 150 changed it is 93 %, by 6,000 runs


@settings(deadline=None)  # the first example imports scipy
@given(differences)
def test_small_p_values_are_exact(values: list[float]) -> None:
    """The share of all assignments of signs whose mean is at least as far from 0."""
    moved = [value for value in values if value]
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, moved, strict=True)))
        for signs in product((1, -1), repeat=len(moved))
    ]
    expected = sum(one >= abs(sum(moved)) - 1e-9 for one in sums) / len(sums)

    assert sign_flip_p(values) == pytest.approx(expected)


@given(differences)
def test_directions_and_unchanged_sentences_do_not_matter(values: list[float]) -> None:
    assert sign_flip_p([-value for value in values]) == pytest.approx(sign_flip_p(values))
    assert sign_flip_p([*values, 0.0, 0.0]) == sign_flip_p(values)


def test_with_many_the_normal_limit_takes_over() -> None:
    """Near the drawn signs, and near Wilcoxon's test where differences are symmetric."""
    rng = random.Random(1)  # noqa: S311 - a simulation
    few = [rng.gauss(0.01, 0.1) for _ in range(999)]
    many = [*few, 0.01]

    assert sign_flip_p(many) == pytest.approx(sign_flip_p(few), abs=0.01)
    assert sign_flip_p(many) == pytest.approx(float(wilcoxon(many).pvalue), abs=0.02)


def test_nothing_moved() -> None:
    """Without a move there is no test, and the detectable drop is not known."""
    assert sign_flip_p([0.0, 0.0]) == 1.0
    assert detectable_score_drop([0.0] * 50) is None
    assert evidence_of(paired_mean([0.3] * 50, [0.3] * 50), margin=0.01) == "unproven"


def test_what_can_be_found_scales_with_how_far_sentences_move() -> None:
    """Eight that move by 0.25, and three that may move by 1 unseen, are like flips by 3.125 / 3.5; one is assumed."""
    moved = [0.25, -0.25] * 4

    expected = 3.125 / 3.5 * detectable_drop(100, discordance=1 / 100)
    assert detectable_score_drop([*moved, *[0.0] * 92]) == pytest.approx(expected)


def test_what_could_be_found_is_found_four_times_of_five() -> None:
    """Of runs in which nothing was lost, the share that prove it at that margin; 80 % are nominal."""
    rng, n = random.Random(7), 150  # noqa: S311 - a simulation
    proven = 0
    for _ in range(200):
        deltas = [rng.uniform(-0.5, 0.5) if rng.random() < 0.4 else 0.0 for _ in range(n)]
        margin = detectable_score_drop(deltas)
        assert margin is not None
        proven += evidence_of(paired_mean([0.5] * n, [0.5 + delta for delta in deltas]), margin=margin) == "not worse"

    assert math.isclose(proven / 200, 0.8, abs_tol=0.08)
