"""Problems that share a source count as one draw."""

from __future__ import annotations

from math import fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.schema import Estimate, Quantity
from pytest_qeval.stats.clusters import cluster_sums, effective_clusters, stand_alone, typical_size
from pytest_qeval.stats.intervals import mean_of_problems
from pytest_qeval.stats.paired import evidence_of, paired_mean
from pytest_qeval.stats.scores import mean_score

NAMES = st.lists(st.sampled_from("abcde"), min_size=1, max_size=30)
RATES = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=1, max_size=40)


def estimate(quantity: Quantity) -> Estimate:
    assert isinstance(quantity, Estimate)
    return quantity


def width(quantity: Quantity) -> float:
    found = estimate(quantity)
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_sums_are_in_the_order_of_first_members() -> None:
    assert cluster_sums([1, 2, 3, 4], ["b", "a", "b", "c"]) == [4, 2, 4]


@settings(deadline=None)  # the first example imports scipy
@given(NAMES)
def test_a_typical_size_is_between_the_smallest_and_the_largest(names: list[str]) -> None:
    """It is the size of the cluster that a problem drawn at random is in."""
    sizes = [names.count(name) for name in names]

    assert typical_size(names) == pytest.approx(fsum(sizes) / len(sizes))
    assert min(sizes) <= typical_size(names) <= max(sizes)
    assert (typical_size(names) == 1) == stand_alone(names)


def test_nothing_has_no_size() -> None:
    assert typical_size([]) == 1


@settings(deadline=None)  # the first example imports scipy
@given(RATES, st.randoms(use_true_random=False))
def test_problems_that_stand_alone_have_the_usual_intervals(rates: list[float], random: object) -> None:
    """A name for each changes nothing."""
    names = [str(number) for number in range(len(rates))]
    others = rates[::-1]

    assert paired_mean(rates, others, names) == paired_mean(rates, others)
    assert mean_of_problems(rates, names) == mean_of_problems(rates)
    assert mean_score(rates, names) == mean_score(rates)


@settings(deadline=None)  # the first example imports scipy
@given(RATES.filter(lambda rates: len(rates) > 1))
def test_a_problem_that_is_asked_twice_proves_no_more(rates: list[float]) -> None:
    """Two copies of every problem, each pair a cluster, have the interval of the problems alone."""
    others, names = rates[::-1], [str(number) for number in range(len(rates))] * 2
    once, twice = estimate(paired_mean(rates, others)), estimate(paired_mean(rates * 2, others * 2, names))

    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), abs=1e-9)
    assert twice.n == 2 * once.n
    assert width(paired_mean(rates * 2, others * 2)) < width(twice)
    shares, copies = estimate(mean_of_problems(rates)), estimate(mean_of_problems(rates * 2, names))
    assert (copies.low, copies.high) == pytest.approx((shares.low, shares.high))


@settings(deadline=None)  # the first example imports scipy
@given(RATES)
def test_clusters_leave_the_value_and_prove_no_more_than_without_a_change(rates: list[float]) -> None:
    names = [str(number // 2) for number in range(len(rates))]
    clustered = estimate(paired_mean(rates, rates[::-1], names))

    assert clustered.value == estimate(paired_mean(rates, rates[::-1])).value
    assert width(clustered) >= width(paired_mean(rates, rates, names)) - 1e-9


@settings(deadline=None)  # the first example imports scipy
@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.sampled_from([-1.0, 0.0, 1.0]), st.floats(0, 1)), min_size=1, max_size=12
    ),
    st.integers(0, 200),
    st.floats(0, 1),
)
def test_an_interval_is_around_its_value_whatever_the_sizes(
    clusters: list[tuple[int, float, float]], alone: int, lost: float
) -> None:
    """Many problems that stand alone and flip, beside a few large clusters that do not, as well."""
    deltas, names = [-1.0] * int(lost * alone) + [0.0] * (alone - int(lost * alone)), [f"a{n}" for n in range(alone)]
    for number, (size, delta, share) in enumerate(clusters):
        moved = int(share * size)
        deltas += [delta] * moved + [0.0] * (size - moved)
        names += [f"c{number}"] * size
    found = estimate(paired_mean([0.0] * len(deltas), deltas, names))

    assert found.low is not None
    assert found.high is not None
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert found.high > found.low


def test_two_large_clusters_do_not_narrow_what_others_lose() -> None:
    """A quarter of 974 problems is lost: about 240 losses with a standard error of 14 around them."""
    deltas = [-1.0] * 244 + [0.0] * 830
    names = [f"a{number}" for number in range(974)] + ["c0"] * 50 + ["c1"] * 50
    found = estimate(paired_mean([0.0] * 1074, deltas, names))

    assert found.value == pytest.approx(-244 / 1074)
    assert width(found) >= width(paired_mean([0.0] * 1074, deltas))


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_a_loss_is_missed_as_rarely_as_stated(shared: float) -> None:
    """A small part of `benchmarks/clusters.py`: 100 clusters of three, a loss of 4 points at a margin of 4 points."""
    rng, names = np.random.default_rng(7), [str(number // 3) for number in range(300)]
    wrong = 0
    for _ in range(400):
        common = np.repeat(rng.choice([-1.0, 1.0, 0.0], 100, p=[0.05, 0.01, 0.94]), 3)
        alone = rng.choice([-1.0, 1.0, 0.0], 300, p=[0.05, 0.01, 0.94])
        deltas = np.where(np.repeat(rng.random(100) < shared, 3), common, alone).tolist()
        wrong += evidence_of(paired_mean([0.0] * 300, deltas, names), margin=0.04) == "not worse"

    assert wrong / 400 <= 0.04


def test_losses_within_one_cluster_prove_less_than_losses_all_over() -> None:
    """Ten problems of one function lost are one observation."""
    base, own = [1.0] * 100, [0.0] * 10 + [1.0] * 90
    together = [str(number // 10) for number in range(100)]

    assert width(paired_mean(base, own, together)) > 2 * width(paired_mean(base, own))


def test_shares_of_one_mind_prove_as_much_as_one() -> None:
    """All solved: the lower limit is that of as many problems as there are clusters."""
    names = [str(number // 4) for number in range(80)]
    clustered, alone = estimate(mean_of_problems([1.0] * 80, names)), estimate(mean_of_problems([1.0] * 20))

    assert clustered.low == pytest.approx(alone.low)
    assert clustered.n == 80


def test_scores_of_one_module_vary_together() -> None:
    """Student's interval of the modules' means, where all modules have the same size."""
    values = [0.2, 0.25, 0.7, 0.75, 0.4, 0.45, 0.1, 0.15] * 3
    modules = [str(number // 2) for number in range(24)]

    assert width(mean_score(values, modules)) > 1.2 * width(mean_score(values))


def test_as_many_clusters_as_values_are_needed() -> None:
    with pytest.raises(ValueError, match="2 problems have 1 clusters"):
        paired_mean([1.0, 0.0], [1.0, 1.0], ["a"])


def test_modules_of_equal_means_are_not_known_to_the_last_digit() -> None:
    """Their sums differ by rounding only, which is no spread."""
    assert width(mean_score([0.1, 0.3, 0.2, 0.2], ["a", "a", "b", "b"])) > 0.1


@pytest.mark.parametrize(
    ("names", "count"), [(["a", "b", "c"], 3), (["a", "a", "b", "b"], 2), ([*"abcdefghij", *["x"] * 10], 1.2), ([], 0)]
)
def test_effective_clusters_are_few_where_one_is_large(names: list[str], count: float) -> None:
    """(Σm²)² / Σm⁴: of ten single problems and ten of one source, (10 + 100)² / (10 + 10,000)."""
    assert effective_clusters(names) == pytest.approx(count, abs=0.01)
