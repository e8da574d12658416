from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom, norm

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.paired import (
    PairedCounts,
    adjusted,
    difference,
    evidence_of,
    mcnemar_p,
    odds_ratio,
    paired_mean,
    relative_drop,
)
from pytest_qeval.stats.score_limits import paired_difference_limits, paired_ratio_limits
from pytest_qeval.stats.widened_limits import difference_limits
from tests.unit.stats.outcomes import outcomes

Z = 1.959964
COUNTS = st.builds(
    PairedCounts,
    both=st.integers(0, 200),
    regressed=st.integers(0, 50),
    fixed=st.integers(0, 50),
    neither=st.integers(0, 200),
).filter(lambda counts: counts.n > 0)
BALANCED = [(5, 8, 164), (8, 5, 164), (0, 0, 164), (30, 30, 500), (6, 11, 89)]
"""Fixed, regressed and all problems: no kind of flip is more than twice as frequent, and at most a fifth flip."""
UNBALANCED = [(1, 7, 21), (0, 4, 164), (30, 5, 164), (3, 3, 20), (60, 40, 200)]
BENTUR = PairedCounts(both=1, fixed=1, regressed=7, neither=12)
"""Airway responsiveness of 21 children, a worked example of Fagerland, Lydersen & Laake (2014)."""


def estimate(quantity: Quantity) -> Estimate:
    assert isinstance(quantity, Estimate)
    return quantity


def limits(quantity: Quantity) -> tuple[float, float]:
    found = estimate(quantity)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def tango(counts: PairedCounts, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's limits as published."""
    low, high = paired_difference_limits(counts.fixed, counts.regressed, counts.n, confidence=confidence)
    return float(low), float(high)


def tang(counts: PairedCounts, confidence: float = 0.95) -> tuple[float, float]:
    """Tang's limits of candidate over baseline as published."""
    low, high = paired_ratio_limits(counts.both, counts.fixed, counts.regressed, counts.n, confidence=confidence)
    return float(low), float(high)


def flips(n: int, *, fixed: int = 0, regressed: int = 0) -> PairedCounts:
    return PairedCounts(both=n - fixed - regressed, regressed=regressed, fixed=fixed, neither=0)


def plog(count: int, chance: float) -> float:
    return count * log(chance) if count and chance > 0 else (-inf if count else 0.0)


def likeliest(likelihood: object, low: float, high: float) -> float:
    assert callable(likelihood)
    return float(
        minimize_scalar(lambda x: -likelihood(x), bounds=(low, high), method="bounded", options={"xatol": 1e-11}).x
    )


def z_of_difference(counts: PairedCounts, delta: float) -> float:
    """Score statistic whose nuisance parameter is found by searching the likelihood, without Tango's formula."""
    b, c, n = counts.fixed, counts.regressed, counts.n

    def likelihood(q: float) -> float:
        return plog(b, q + delta) + plog(c, q) + plog(n - b - c, 1 - 2 * q - delta)

    q = likeliest(likelihood, max(0.0, -delta), (1 - delta) / 2)
    return float((b - c - n * delta) / sqrt(n * (2 * q + delta - delta * delta)))


def z_of_ratio(counts: PairedCounts, ratio: float) -> float:
    """The same for a ratio of pass rates, with two nuisance parameters: the baseline's rate and that of both."""
    a, b, c, d = counts.both, counts.fixed, counts.regressed, counts.neither

    def likelihood(rate: float, both: float) -> float:
        own = ratio * rate
        return plog(a, both) + plog(b, own - both) + plog(c, rate - both) + plog(d, 1 - own - rate + both)

    def best(rate: float) -> float:
        low, high = max(0.0, (1 + ratio) * rate - 1), rate * min(1.0, ratio)
        return likeliest(lambda both: likelihood(rate, both), low, high)

    rate = likeliest(lambda rate: likelihood(rate, best(rate)), 0.0, min(1.0, 1 / ratio))
    variance = counts.n * ratio * ((1 + ratio) * rate - 2 * best(rate))
    return float(((a + b) - ratio * (a + c)) / sqrt(variance))


def test_intervals_equal_the_published_example() -> None:
    """Tango's limits of a difference and Tang's of a ratio, as printed for the example of Bentur et al."""
    assert tango(BENTUR) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert tang(BENTUR) == pytest.approx((0.065, 0.907), abs=5e-4)


@pytest.mark.parametrize(("fixed", "regressed", "n"), BALANCED)
def test_intervals_are_those_of_tango_and_tang_where_flips_are_balanced(fixed: int, regressed: int, n: int) -> None:
    """For a normal quantile that is 2 % larger."""
    counts, confidence = flips(n, fixed=fixed, regressed=regressed), float(2 * norm.cdf(1.02 * Z) - 1)

    assert limits(difference(counts)) == pytest.approx(tango(counts, confidence), abs=1e-7)
    ratio = tang(counts, confidence)
    assert limits(relative_drop(counts)) == pytest.approx(tuple(1 - end for end in reversed(ratio)), abs=1e-7)


@pytest.mark.parametrize(("fixed", "regressed", "n"), UNBALANCED)
def test_other_intervals_are_wider_at_both_ends(fixed: int, regressed: int, n: int) -> None:
    """Most flips are of one kind, or there are few problems, or many of them flip."""
    (low, high), (least, most) = limits(difference(counts := flips(n, fixed=fixed, regressed=regressed))), tango(counts)

    assert low < least
    assert high > most


def test_few_losses_alone_are_no_proof_of_a_loss() -> None:
    """Four regressed and none fixed: Tango's interval excludes 0, though McNemar's p-value is 0.125."""
    assert tango(flips(164, regressed=4))[1] < 0 < limits(difference(flips(164, regressed=4)))[1]
    assert limits(difference(flips(164, regressed=6)))[1] < 0


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 60))
def test_tango_accepts_what_a_search_of_the_likelihood_accepts(fixed: int, regressed: int, same: int) -> None:
    """A grid of differences: those within ±z by brute force are those inside the interval."""
    counts = flips(fixed + regressed + same, fixed=fixed, regressed=regressed)
    low, high = tango(counts)

    for delta in np.linspace(-0.97, 0.97, 23).tolist():
        if min(abs(delta - low), abs(delta - high)) > 1e-4:
            assert (low < delta < high) == (abs(z_of_difference(counts, delta)) < Z), delta


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 12), st.integers(1, 60))
def test_tang_ends_where_a_search_of_the_likelihood_does(both: int, fixed: int, regressed: int, neither: int) -> None:
    """At the limits the brute-force score is ±z."""
    counts = PairedCounts(both=both, fixed=fixed, regressed=regressed, neither=neither)
    low, high = tang(counts)

    assert z_of_ratio(counts, low) == pytest.approx(Z, abs=1e-3)
    assert z_of_ratio(counts, high) == pytest.approx(-Z, abs=1e-3)


@settings(deadline=None, max_examples=30)
@given(COUNTS)
def test_interval_holds_the_difference_and_stays_in_range(counts: PairedCounts) -> None:
    """The interval contains the observed difference and never leaves [-1, 1]."""
    low, high = limits(difference(counts))

    assert -1 <= low <= estimate(difference(counts)).value + 1e-9
    assert estimate(difference(counts)).value - 1e-9 <= high <= 1


@settings(deadline=None, max_examples=30)
@given(COUNTS)
def test_swapping_the_recipes_mirrors_the_interval(counts: PairedCounts) -> None:
    """Candidate against baseline is the negative of baseline against candidate."""
    swapped = PairedCounts(both=counts.both, regressed=counts.fixed, fixed=counts.regressed, neither=counts.neither)
    low, high = limits(difference(counts))

    assert limits(difference(swapped)) == pytest.approx((-high, -low), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(COUNTS.filter(lambda counts: counts.both + counts.regressed > 0))
def test_both_intervals_agree_on_whether_anything_changed(counts: PairedCounts) -> None:
    """The relative drop excludes 0 exactly where the difference does, and is never above 1."""
    low, high = limits(difference(counts))
    least, most = limits(relative_drop(counts))

    assert (low > 0, high < 0) == (most < 0, least > 0)
    assert most <= 1


def test_no_flips_still_leave_room() -> None:
    """An identical run of 164 excludes losses above z² / (n + z²), 2.4 points; one problem excludes nearly nothing."""
    assert limits(difference(flips(164))) == pytest.approx((-0.023790, 0.023790), abs=1e-6)
    assert limits(difference(flips(1))) == pytest.approx((-0.974591, 0.974591), abs=1e-6)


def test_flips_in_one_direction_reach_the_end() -> None:
    """Where every problem regressed, the interval begins at -1 and the relative drop ends at 1."""
    assert limits(difference(flips(10, regressed=10)))[0] == -1
    assert limits(difference(flips(10, fixed=10)))[1] == 1
    assert limits(relative_drop(flips(10, regressed=10)))[1] == 1


def test_no_pairs_give_no_number() -> None:
    """Without common problems there is no difference, rather than one of zero."""
    nothing = Undefined(reason="no problem was evaluated under both recipes")

    assert difference(flips(0)) == relative_drop(flips(0)) == paired_mean([], []) == nothing


def test_a_baseline_without_success_has_no_relative_drop() -> None:
    """A share of zero is not defined."""
    assert isinstance(relative_drop(flips(5, fixed=5)), Undefined)


@pytest.mark.parametrize(("discordance", "drop"), [(0.04, 0.0), (0.08, 0.02), (0.12, 0.05), (0.12, 0.10)])
def test_interval_covers_and_evidence_is_rarely_wrong(discordance: float, drop: float) -> None:
    """Over all outcomes of 164 problems: 95 % covered, and at most 2.6 % of either wrong evidence at the margin."""
    fixed, regressed, chance = outcomes(164, discordance=discordance, drop=drop)
    low, high = difference_limits(fixed, regressed, 164, confidence=0.95)
    worse, not_worse = chance[high < -drop].sum(), chance[low > -drop].sum()

    assert 0.015 < worse + not_worse < 0.051
    assert worse <= 0.026
    assert not_worse <= 0.026


@pytest.mark.parametrize(("discordance", "drop"), [(0.08, 0.0), (0.12, 0.05)])
def test_relative_drop_covers(discordance: float, drop: float) -> None:
    """Simulated runs of 164 problems: the interval holds the true relative drop in 93 to 97 %."""
    lost, won = (discordance + drop) / 2, (discordance - drop) / 2
    draws = np.random.default_rng(0).multinomial(164, [0.45 - lost, lost, won, 0.55 - won], size=4000)
    low, high = paired_ratio_limits(draws[:, 0], draws[:, 2], draws[:, 1], 164, confidence=0.95)

    assert 0.93 < np.mean((low <= 1 - drop / 0.45) & (1 - drop / 0.45 <= high)) < 0.97


@pytest.mark.parametrize(
    ("regressed", "fixed", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (10, 0, 2 / 1024)]
)
def test_mcnemar_is_the_exact_binomial_test(regressed: int, fixed: int, p: float) -> None:
    """Two-sided binomial p-values over the flips, by hand."""
    assert mcnemar_p(PairedCounts(both=3, regressed=regressed, fixed=fixed, neither=4)) == pytest.approx(p)


@pytest.mark.parametrize(("regressed", "fixed"), [(7, 1), (3, 12), (5, 5)])
def test_odds_ratio_ends_where_its_tails_are_a_fortieth(regressed: int, fixed: int) -> None:
    """Clopper and Pearson's limits: as many losses or more, and as few or fewer, have a chance of 2.5 % there."""
    found = odds_ratio(PairedCounts(both=9, regressed=regressed, fixed=fixed, neither=9))
    low, high = (odds / (1 + odds) for odds in limits(found))

    assert estimate(found).value == regressed / fixed
    assert binom.sf(regressed - 1, regressed + fixed, low) == pytest.approx(0.025)
    assert binom.cdf(regressed, regressed + fixed, high) == pytest.approx(0.025)


def test_odds_ratio_without_a_number_says_why() -> None:
    """Infinite odds keep their lower limit, and no flips have no odds."""
    assert odds_ratio(flips(20)) == Undefined(reason="no problem flipped, so losses and gains have no ratio")
    assert odds_ratio(flips(20, regressed=7)) == Undefined(
        reason="7 regressed and none was fixed, so the odds ratio is infinite; its 95% interval begins at 1.4"
    )


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg() -> None:
    """The i-th smallest of m is multiplied by m / i and stays below its successors; none is fine."""
    assert adjusted([0.04, 0.01, 0.5]) == pytest.approx((0.06, 0.03, 0.5))
    assert adjusted([0.03, 0.031]) == pytest.approx((0.031, 0.031))
    assert adjusted([]) == ()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_one_sample_per_problem_is_the_ordinary_difference(pairs: list[tuple[int, int]]) -> None:
    """Rates of 0 and 1 give exactly what their flips give."""
    lost, won = pairs.count((1, 0)), pairs.count((0, 1))

    found = paired_mean([base for base, _ in pairs], [own for _, own in pairs])

    assert found == difference(flips(len(pairs), fixed=won, regressed=lost))


def test_identical_rates_prove_as_much_as_identical_outcomes() -> None:
    """A run that changed nothing can still prove "not worse", however many samples it took."""
    rates = [0.1, 0.5, 0.9, 1.0] * 41

    assert paired_mean(rates, rates) == difference(flips(164))
    assert evidence_of(paired_mean(rates, rates), margin=0.025) == "not worse"


def test_smaller_steps_give_a_narrower_interval() -> None:
    """Halving every difference halves the value; the interval narrows by less, as more may be unseen."""
    whole = paired_mean([1.0] * 9 + [0.0] * 91, [0.0] * 6 + [1.0] * 94)
    half = paired_mean([0.5] * 9 + [0.0] * 91, [0.0] * 6 + [0.5] * 94)

    assert estimate(half).value == pytest.approx(estimate(whole).value / 2)
    (low, high), (half_low, half_high) = limits(whole), limits(half)
    assert 0.5 < (half_high - half_low) / (high - low) < 0.7
    with pytest.raises(ValueError, match="zip"):
        paired_mean([0.5], [])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-10, 10), min_size=1, max_size=40))
def test_who_lost_something_never_proves_more_than_who_lost_nothing(moves: list[int]) -> None:
    """Ten samples a problem; a few lost ones are no better proof than none."""
    rates = [0.5 + move / 20 for move in moves]
    found = estimate(paired_mean([0.5] * len(rates), rates))
    low, high = limits(difference(flips(len(rates))))

    assert -1 <= limits(found)[0] <= found.value + 1e-9
    assert found.value - 1e-9 <= limits(found)[1] <= 1
    if found.value <= 0:
        assert limits(found)[0] <= low + 1e-9
    if found.value >= 0:
        assert limits(found)[1] >= high - 1e-9


def test_a_lost_sample_is_no_proof() -> None:
    """One sample of 1,640 was lost: neither this run nor one without a change proves 2 points."""
    for lost in (0.0, 0.1):
        delta = paired_mean([0.5] * 164, [0.5] * 163 + [0.5 - lost])
        assert evidence_of(delta, margin=0.02) == "unproven"


@pytest.mark.parametrize("n", [20, 89])
def test_a_loss_that_few_problems_show_is_rarely_missed(n: int) -> None:
    """5 % of the problems are lost whole, and nine of ten samples are the baseline's: "not worse" errs in 2.5 %."""
    rng = np.random.default_rng(n)
    runs, wrong = 1000, 0
    for _ in range(runs):
        chance = rng.beta(1.0, 1.0, n)
        shared = rng.binomial(10, 0.9, n)
        common, base, own = (rng.binomial(count, chance) for count in (shared, 10 - shared, 10 - shared))
        candidate = np.where(rng.random(n) < 0.05, 0, common + own)
        delta = paired_mean(((common + base) / 10).tolist(), (candidate / 10).tolist())
        wrong += evidence_of(delta, margin=0.025) == "not worse"

    assert wrong / runs < 0.035  # the promise, and two standard errors of the simulation


def test_interval_of_sampled_rates_covers() -> None:
    """Ten samples per problem of which a tenth is lost: the interval holds the true loss in 95 to 99 %."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        rates = rng.beta(0.4, 0.5, size=164)
        samples = rng.binomial(10, rates) / 10, rng.binomial(10, 0.9 * rates) / 10
        found.append(limits(paired_mean(samples[0].tolist(), samples[1].tolist())))

    assert 0.94 < sum(low <= -0.1 * 4 / 9 <= high for low, high in found) / len(found) < 0.995


@pytest.mark.parametrize(
    ("low", "high", "evidence"),
    [(-0.3, -0.1, "worse"), (-0.01, 0.05, "not worse"), (-0.05, 0.01, "unproven"), (-0.3, -0.01, "unproven")],
)
def test_evidence_follows_from_interval_and_margin(low: float, high: float, evidence: str) -> None:
    """Worse is wholly below the margin, not worse wholly above it, everything else unproven."""
    delta = Estimate(value=(low + high) / 2, low=low, high=high, n=100, method="test")

    assert evidence_of(delta, margin=0.02) == evidence


def test_an_undefined_difference_proves_nothing() -> None:
    """No number, no proof."""
    assert evidence_of(Undefined(reason="no problem"), margin=0.02) == "unproven"
