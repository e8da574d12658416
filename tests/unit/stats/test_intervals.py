import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit
from scipy.stats import binomtest

from benchmarks.divergence_interval import CASES, errors, in_use, percentile
from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.stats.intervals import mean_of_problems, proportion, ratio_of_positive_sums, ratio_of_sums
from pytest_qeval.stats.passk import pass_at_k


@settings(deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_proportion_has_clopper_and_pearsons_interval(counts: tuple[int, int]) -> None:
    """As scipy's own exact interval has it."""
    found, exact = proportion(*counts), binomtest(*counts).proportion_ci(method="exact")

    assert isinstance(found, Estimate)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert (found.value, found.n, found.method) == (counts[0] / counts[1], counts[1], "clopper-pearson")


def test_no_problem_gives_no_number() -> None:
    """0 of 0 is undefined with a reason."""
    assert proportion(0, 0) == Undefined(reason="no problem was evaluated")
    assert mean_of_problems([]) == Undefined(reason="no problem was evaluated")


@settings(deadline=None)  # the first example imports scipy
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_an_interval_of_shares_is_inside_0_and_1_and_around_the_mean(values: list[float]) -> None:
    """It is never wider than that of outcomes with the same mean."""
    found = mean_of_problems(values)

    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
    assert found.high > found.low


def test_what_is_no_share_is_refused() -> None:
    """Its variance has no bound by its mean."""
    with pytest.raises(ValueError, match="shares lie between 0 and 1"):
        mean_of_problems([0.5, 1.5])


def test_shares_that_vary_less_are_known_better() -> None:
    """Ten samples that agree say more than one."""
    narrow, wide = (mean_of_problems([0.5 - step, 0.5 + step] * 40) for step in (0.1, 0.5))

    assert isinstance(narrow, Estimate)
    assert isinstance(wide, Estimate)
    assert narrow.low is not None
    assert wide.low is not None
    assert wide.low < narrow.low < narrow.value == pytest.approx(wide.value)


@pytest.mark.parametrize("k", [1, 5])
def test_the_interval_of_pass_at_k_covers(k: int) -> None:
    """Twenty problems, most of them easy, ten samples each: 95 % are nominal."""
    rng, runs, covered = np.random.default_rng(k), 1000, 0
    true = float(np.mean(1 - (1 - rng.beta(9, 0.5, 400_000)) ** k))
    for _ in range(runs):
        solved = rng.binomial(10, rng.beta(9, 0.5, 20))
        found = mean_of_problems([pass_at_k(10, int(c), k) for c in solved])
        assert isinstance(found, Estimate)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high

    assert covered / runs > 0.93


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


def limits(numerators: list[float], denominators: list[float]) -> tuple[float, float]:
    found = ratio_of_positive_sums(numerators, denominators)
    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


POSITIVE = st.lists(st.tuples(st.floats(1e-6, 1e3), st.integers(1, 500)), min_size=2, max_size=40)


@settings(deadline=None)
@given(POSITIVE, st.floats(1e-3, 1e3))
def test_an_interval_of_positive_sums_is_around_the_ratio_and_keeps_its_unit(
    pairs: list[tuple[float, int]], unit: float
) -> None:
    tops, bottoms = [top for top, _ in pairs], [float(bottom) for _, bottom in pairs]
    found = ratio_of_positive_sums(tops, bottoms)
    other = ratio_of_positive_sums([unit * top for top in tops], bottoms)

    assert isinstance(found, Estimate)
    assert isinstance(other, Estimate)
    assert found.value == pytest.approx(sum(tops) / sum(bottoms))
    if found.low is None or found.high is None or other.low is None or other.high is None:
        assert "all problems equal" in {found.method, other.method}
        return
    assert 0 <= found.low <= found.value < found.high
    assert (other.low, other.high) == pytest.approx((unit * found.low, unit * found.high), rel=1e-6)


def test_the_limits_of_positive_sums_by_hand() -> None:
    """Ratios 1 and 3 of equal problems: a third has 0 or 10.5, and t of one degree of freedom is 12.706."""
    for found, third, is_upper in zip(limits([10.0, 30.0], [10, 10]), (0, 10.5), (False, True), strict=True):
        ratios = np.array([1, 3, third])
        mean, error = ratios.mean(), ratios.std(ddof=1) / np.sqrt(3)
        squares = (ratios - mean) ** 2
        degrees = max(squares.sum() ** 2 / (squares**2).sum() - 1, 1)

        width = 1.02 * stdtrit(degrees, 0.975) * error / mean
        assert found == pytest.approx(mean * (1 + width if is_upper else np.exp(-width)), rel=1e-6)


def test_positive_sums_know_their_edges() -> None:
    """No problem, one problem, equal problems, problems without tokens, all 0, and what is negative."""
    assert isinstance(ratio_of_positive_sums([0.0], [0]), Undefined)
    for tops, bottoms in (([3.0], [10]), ([1.0, 2.0], [4, 8]), ([0.0, 0.0], [3, 4])):
        found = ratio_of_positive_sums(tops, bottoms)
        assert isinstance(found, Estimate)
        assert (found.low, found.high, found.method) == (None, None, "all problems equal")
    assert ratio_of_positive_sums([3.0, 0.0, 2.0], [10, 0, 9]) == ratio_of_positive_sums([3.0, 2.0], [10, 9])
    with pytest.raises(ValueError, match="at least 0"):
        ratio_of_positive_sums([1.0, -1.0], [1, 1])


@pytest.mark.parametrize(
    "name", ["lognormal, σ = 0.5", "lognormal, σ = 1", "σ = 1, half are 0", "σ = 0.5, 5 % tenfold"]
)
def test_the_limits_of_skewed_divergences_rarely_err(name: str) -> None:
    """At 40 problems a percentile bootstrap errs in 8 to 15 % at the upper end; 2.5 % are promised."""
    runs = 800
    above, below = errors(CASES[name], 40, interval=in_use, runs=runs)
    (theirs, _) = errors(CASES[name], 40, interval=percentile, runs=200)

    most = 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)
    assert above <= most < theirs
    assert below <= most
