from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.stats.passk import pass_at_k


@given(st.data())
def test_equals_brute_force_over_all_choices(data: st.DataObject) -> None:
    """The estimator is the share of k-subsets of the samples that hold a passing one."""
    n = data.draw(st.integers(1, 9))
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    samples = [index < c for index in range(n)]
    choices = list(combinations(samples, k))

    expected = sum(any(choice) for choice in choices) / len(choices)

    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-12)
    assert pass_at_k(n, c, 1) == c / n  # to the last digit


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(1, 1, 1, 1.0), (1, 0, 1, 0.0), (10, 3, 1, 0.3), (10, 3, 5, 1 - 21 / 252), (200, 1, 100, 0.5), (5, 4, 2, 1.0)],
)
def test_known_values(n: int, c: int, k: int, expected: float) -> None:
    """Values computed by hand from the published formula."""
    assert pass_at_k(n, c, k) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "c", "k"), [(1, 0, 2), (3, 4, 1), (3, -1, 1), (3, 1, 0)])
def test_undefined_inputs_are_refused(n: int, c: int, k: int) -> None:
    """K above n has no estimate: it is refused instead of silently left out."""
    with pytest.raises(ValueError, match="needs 1 <= k <= n"):
        pass_at_k(n, c, k)
