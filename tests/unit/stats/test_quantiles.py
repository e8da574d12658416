"""Quantiles and their exact intervals."""

from __future__ import annotations

from random import Random

import pytest

from pytest_qeval.stats.quantiles import estimate_quantile, quantile


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 2.5), (0.9, 3.7), (1.0, 4.0)])
def test_a_quantile_lies_between_order_statistics(share: float, value: float) -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], share) == pytest.approx(value)


@pytest.mark.parametrize(
    ("n", "low", "high"), [(5, None, None), (6, 0, 5), (8, 0, 7), (9, 1, 7), (12, 2, 9), (20, 5, 14), (50, 17, 32)]
)
def test_the_median_has_the_limits_of_the_sign_test(n: int, low: int | None, high: int | None) -> None:
    """As in tables of the sign test (two-sided, 5 %): ranks 6 and 15 of 20."""
    found = estimate_quantile(range(n), 0.5, unit="rounds")

    assert (found.low, found.high, found.n) == (low, high, n)
    assert found.method == f"median of {n} rounds, order statistics"


@pytest.mark.parametrize(("n", "has_high"), [(35, False), (36, True)])
def test_an_upper_limit_of_p90_takes_36_values(n: int, *, has_high: bool) -> None:
    """0.9 to the power of 36 is 2.3 %."""
    found = estimate_quantile(range(n), 0.9, unit="problems")

    assert (found.high is not None, found.low is not None) == (has_high, True)
    assert found.method == f"p90 of {n} problems, order statistics"


def test_the_interval_covers_as_often_as_stated() -> None:
    """Of a skewed distribution, whose median is 1."""
    rng = Random(1)  # noqa: S311 - a simulation
    n_runs, missed = 2000, 0
    for _ in range(n_runs):
        found = estimate_quantile([rng.lognormvariate(0, 1) for _ in range(9)], 0.5, unit="rounds")
        assert found.low is not None
        assert found.high is not None
        missed += not found.low <= 1 <= found.high

    assert missed / n_runs < 0.05


def test_no_values_have_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        estimate_quantile([], 0.5, unit="rounds")
