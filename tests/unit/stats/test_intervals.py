import pytest

from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.stats.intervals import mean_of_problems, proportion


def test_wilson_interval_of_a_known_case() -> None:
    """72 of 164: Wilson's limits computed by hand from the formula."""
    found = proportion(72, 164)

    assert isinstance(found, Estimate)
    assert found.low == pytest.approx(0.3653, abs=1e-4)
    assert found.high == pytest.approx(0.5155, abs=1e-4)


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


def test_equal_values_have_no_interval() -> None:
    """A bootstrap over equal values would claim certainty; the interval is left open instead."""
    found = mean_of_problems([1.0, 1.0, 1.0])

    assert isinstance(found, Estimate)
    assert (found.low, found.high) == (None, None)
