import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.stats.intervals import mean_of_problems, proportion, ratio_of_sums


def test_wilson_interval_of_a_known_case() -> None:
    """72 of 164: Wilson's limits computed by hand from the formula."""
    found = proportion(72, 164)

    assert isinstance(found, Estimate)
    assert found.low == pytest.approx(0.3653, abs=1e-4)
    assert found.high == pytest.approx(0.5155, abs=1e-4)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_intervals_are_those_of_scipy(solved: int, unsolved: int, confidence: float) -> None:
    """For any counts and confidence; at 0 and n of n the end is exact."""
    n = solved + unsolved + 1
    found, expected = proportion(solved, n, confidence=confidence), binomtest(solved, n)

    assert isinstance(found, Estimate)
    assert (found.low, found.high) == pytest.approx(tuple(expected.proportion_ci(confidence, method="wilson")))
    assert (found.low == 0, found.high == 1) == (solved == 0, solved == n)


def test_no_problem_gives_no_number() -> None:
    """0 of 0 is undefined with a reason."""
    assert proportion(0, 0) == Undefined(reason="no problem was evaluated")
    assert mean_of_problems([]) == Undefined(reason="no problem was evaluated")


def test_bootstrap_is_seeded_and_holds_the_mean() -> None:
    """The same values give the same interval, around their mean."""
    values = [0.0, 0.2, 0.4, 1.0, 1.0, 0.6]
    found = mean_of_problems(values)

    assert isinstance(found, Estimate)
    assert found == mean_of_problems(values)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_the_bootstrap_is_that_of_scipy() -> None:
    """Percentiles of the same seeded draws, problems with both of their numbers."""
    tops, bottoms = [1.0, 0.0, 6.0, 2.0, 3.5], [10, 1, 20, 40, 9]
    expected = bootstrap(
        (np.array(tops), np.array(bottoms)),
        lambda top, bottom, axis: top.sum(axis=axis) / bottom.sum(axis=axis),
        paired=True,
        n_resamples=2000,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    found = ratio_of_sums(tops, bottoms, confidence=0.9, seed=7)

    assert isinstance(found, Estimate)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_equal_values_have_no_interval() -> None:
    """A bootstrap over equal values would claim certainty; the interval is left open instead."""
    found = mean_of_problems([1.0, 1.0, 1.0])

    assert isinstance(found, Estimate)
    assert (found.low, found.high) == (None, None)


def test_ratio_of_sums_weighs_problems_by_their_denominator() -> None:
    """Sums are divided, not ratios averaged, and the interval is around that, seeded."""
    tops, bottoms = [1.0, 0.0, 6.0, 2.0], [10, 1, 20, 40]
    found = ratio_of_sums(tops, bottoms)

    assert isinstance(found, Estimate)
    assert found == ratio_of_sums(tops, bottoms)
    assert found.value == pytest.approx(9 / 71)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.value < found.high < 0.3


def test_ratio_of_sums_draws_problems_again_with_both_of_their_numbers() -> None:
    """Where large problems have large sums, the ratio hardly moves: drawn apart, it would swing."""
    found = ratio_of_sums([10.0, 101.0, 990.0, 9.9], [100, 1000, 10000, 100])

    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    assert 0.098 < found.low < found.high < 0.102


def test_ratio_of_sums_leaves_out_problems_without_anything() -> None:
    """A problem without tokens neither counts nor divides by zero."""
    assert ratio_of_sums([3.0, 0.0, 2.0], [10, 0, 9]) == ratio_of_sums([3.0, 2.0], [10, 9])
    assert isinstance(ratio_of_sums([0.0], [0]), Undefined)


def test_ratio_of_sums_has_no_interval_without_spread() -> None:
    """One problem, or equal ratios, leave nothing to draw again."""
    for found in (ratio_of_sums([3.0], [10]), ratio_of_sums([1.0, 2.0], [4, 8])):
        assert isinstance(found, Estimate)
        assert (found.low, found.high) == (None, None)


def test_ratio_of_sums_needs_both_numbers_of_each_problem() -> None:
    """Lists of different lengths are refused rather than cut."""
    with pytest.raises(ValueError, match="zip"):
        ratio_of_sums([1.0, 2.0], [1])
