import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.stats.paired import PairedCounts, detectable_drop, difference, evidence_of, mcnemar_p

COUNTS = st.builds(
    PairedCounts,
    both=st.integers(0, 200),
    regressed=st.integers(0, 50),
    fixed=st.integers(0, 50),
    neither=st.integers(0, 200),
)


def estimate(counts: PairedCounts) -> Estimate:
    quantity = difference(counts)
    assert isinstance(quantity, Estimate)
    return quantity


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe 1998, table II, method 10: the published examples (36, 12, 2, 0) and (53, 1, 0, 0).
        (PairedCounts(both=36, fixed=12, regressed=2, neither=0), 0.0569, 0.3404),
        (PairedCounts(both=53, fixed=1, regressed=0, neither=0), -0.0496, 0.0977),
    ],
)
def test_interval_equals_the_published_examples(counts: PairedCounts, low: float, high: float) -> None:
    """Newcombe's own worked examples are reproduced to the printed digits."""
    found = estimate(counts)

    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@given(COUNTS.filter(lambda counts: counts.n > 0))
def test_interval_holds_the_difference_and_stays_in_range(counts: PairedCounts) -> None:
    """The interval contains the observed difference and never leaves [-1, 1]."""
    found = estimate(counts)

    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


@given(COUNTS.filter(lambda counts: counts.n > 0))
def test_swapping_the_recipes_mirrors_the_interval(counts: PairedCounts) -> None:
    """Candidate against baseline is the negative of baseline against candidate."""
    swapped = PairedCounts(both=counts.both, regressed=counts.fixed, fixed=counts.regressed, neither=counts.neither)
    found, mirrored = estimate(counts), estimate(swapped)

    assert found.value == pytest.approx(-mirrored.value)
    assert found.low == pytest.approx(-(mirrored.high or 0.0))


def test_no_pairs_give_no_number() -> None:
    """Without common problems the difference is undefined, not zero."""
    assert isinstance(difference(PairedCounts(both=0, regressed=0, fixed=0, neither=0)), Undefined)


@pytest.mark.parametrize(
    ("regressed", "fixed", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (10, 0, 2 / 1024)]
)
def test_mcnemar_is_the_exact_binomial_test(regressed: int, fixed: int, p: float) -> None:
    """Two-sided binomial p-values over the flips, by hand."""
    assert mcnemar_p(PairedCounts(both=3, regressed=regressed, fixed=fixed, neither=4)) == pytest.approx(p)


def test_detectable_drop_of_humaneval() -> None:
    """164 problems prove 5.5 points at 8 % discordance; 2 points need about 1,240 problems."""
    assert detectable_drop(164) == pytest.approx(0.055, abs=5e-4)
    assert detectable_drop(1237) == pytest.approx(0.02, abs=5e-5)


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
