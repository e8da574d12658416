"""How many problems prove how small a loss."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.stats.power import detectable_drop, problems_needed
from pytest_qeval.stats.widened_limits import difference_limits
from tests.unit.stats.outcomes import outcomes


def test_detectable_drop_of_humaneval() -> None:
    """164 problems prove 6.9 points at 8 % discordance; more problems or fewer flips prove less."""
    assert detectable_drop(164) == 0.0687
    assert detectable_drop(500) < detectable_drop(164, discordance=0.04) < 0.0687
    assert detectable_drop(164, power=0.9) > detectable_drop(164)


@pytest.mark.parametrize(("n", "discordance"), [(164, 0.04), (164, 0.08), (164, 0.20), (500, 0.08)])
def test_detectable_drop_is_detected_in_four_of_five_runs(n: int, discordance: float) -> None:
    """Of candidates that lost nothing, 78 to 84 % are proven not worse at the stated margin."""
    margin = detectable_drop(n, discordance=discordance)
    fixed, regressed, chance = outcomes(n, discordance=discordance, drop=0.0)
    low, _ = difference_limits(fixed, regressed, n, confidence=0.95)
    proven = chance[low > -margin].sum()

    assert 0.78 < proven < 0.84


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 20), st.sampled_from([0.04, 0.08, 0.2]))
def test_problems_needed_is_the_inverse(percent: int, discordance: float) -> None:
    """So many problems prove the margin, and one fewer does not."""
    n = problems_needed(percent / 100, discordance=discordance)

    assert detectable_drop(n, discordance=discordance) <= percent / 100
    assert detectable_drop(n - 1, discordance=discordance) > percent / 100


@pytest.mark.parametrize("margin", [0.0, -0.02, 2.0])
def test_no_number_of_problems_proves_an_impossible_margin(margin: float) -> None:
    """A margin that is no fraction above 0 is refused, such as points given as if they were fractions."""
    with pytest.raises(ValueError, match=f"such as 0.02 for 2 points, not {margin:g}"):
        problems_needed(margin)
