"""Recipes compared with their baseline, problem by problem, and with a control."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_qeval.schema import Case, Estimate, Quantity, Record, Undefined
from pytest_qeval.stats.paired import PairedCounts, difference, mcnemar_p, relative_drop
from pytest_qeval.stats.power import detectable_drop
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.comparison import Comparison, compare
from tests.unit.summary.builders import case, record


def compared(
    letters: Mapping[str, str] | None = None,
    *,
    baseline: str | None = "auto",
    control: str | None = None,
    margin: float = 0.02,
    clusters: Clusters = each_alone,
    **more: str,
) -> dict[str, Comparison]:
    """Compare recipes that are given as strings: one word a problem, one letter a sample; `.` is a lost case."""
    given = {**(letters or {}), **more}
    outcomes = {recipe: words.split() if " " in words else list(words) for recipe, words in given.items()}
    groups = {("micro", recipe): [case(number) for number in range(len(row))] for recipe, row in outcomes.items()}
    found: dict[tuple[str, Case], Record] = {
        (recipe, case(number)): record(recipe, number, word)
        for recipe, row in outcomes.items()
        for number, word in enumerate(row)
        if word != "."
    }
    rows = compare(groups, found, baseline=baseline, control=control, margins=lambda *_: margin, clusters=clusters)
    return {row.recipe: row for row in rows}


def value(quantity: Quantity) -> float:
    assert isinstance(quantity, Estimate)
    return quantity.value


def test_pairs_are_counted_problem_by_problem() -> None:
    """Difference, relative drop and test are those of the four counts: 2 both, 3 lost, 1 gained, 2 neither."""
    found = compared(auto="+++++---", int8="++---+--")["int8"]
    counts = PairedCounts(both=2, regressed=3, fixed=1, neither=2)

    assert found.delta == difference(counts)
    assert found.relative_drop == relative_drop(counts)
    assert (found.test, found.mcnemar_p) == ("McNemar", mcnemar_p(counts))
    assert value(found.odds_ratio) == 3
    assert found.regressed == ("micro/2", "micro/3", "micro/4")
    assert found.fixed == ("micro/5",)
    assert found.detectable_drop == detectable_drop(8, discordance=4 / 8)


def test_the_p_value_of_several_samples_is_about_their_rates() -> None:
    """Every problem keeps one of its ten solutions: 90 points are lost, though no problem is lost whole."""
    found = compared(auto=" ".join(["+" * 10] * 8), int8=" ".join(["+" + "-" * 9] * 8))["int8"]

    assert value(found.delta) == pytest.approx(-0.9)
    assert found.test == "sign-flip"
    assert found.mcnemar_p == pytest.approx(2 / 2**8)
    assert found.regressed == ()
    assert isinstance(found.odds_ratio, Undefined)


def test_without_flips_one_is_assumed() -> None:
    """That nothing flipped among few problems does not mean that nothing can."""
    assert compared(auto="+" * 20, int8="+" * 20)["int8"].detectable_drop == detectable_drop(20, discordance=1 / 20)


def test_a_case_that_one_of_them_lacks_is_no_pair() -> None:
    """A lost case is counted as missing elsewhere; it is not a flip."""
    found = compared(auto="+++.", int8="+.++")["int8"]

    assert isinstance(found.delta, Estimate)
    assert (found.delta.n, found.regressed, found.fixed) == (2, (), ())


def test_several_samples_are_rates_of_a_problem() -> None:
    """Half of the samples is half a problem; a regressed problem has lost all of them."""
    found = compared(auto="++ ++ +- --", int8="+- -- -+ +-")["int8"]

    assert value(found.delta) == pytest.approx((-0.5 - 1 + 0 + 0.5) / 4)
    assert (found.regressed, found.fixed) == (("micro/1",), ("micro/3",))
    assert found.detectable_drop is None


def test_every_k_is_paired_problem_by_problem() -> None:
    """The difference of pass@5 has an interval as well; a k without enough samples is left out."""
    found = compared(auto="+---- ++++- -----", int8="----- +++++ -----")["int8"]
    by_hand = (-1 + 0 + 0) / 3

    assert value(found.delta_at[5]) == pytest.approx(by_hand)
    assert value(found.relative_drop_at[5]) == pytest.approx(0.5)
    assert isinstance(found.delta_at[5], Estimate)
    assert found.delta_at[5].low is not None
    assert set(found.delta_at) == set(found.relative_drop_at) == {5}
    assert compared(auto="+----", int8="-")["int8"].delta_at == {}


def test_a_baseline_that_solved_nothing_has_no_relative_drop() -> None:
    """It is undefined, with a reason."""
    for base, own in (("---", "-+-"), ("-- --", "+- --")):
        assert "baseline solved no" in str(compared(auto=base, int8=own)["int8"].relative_drop)


@pytest.mark.parametrize(("margin", "evidence"), [(0.02, "unproven"), (0.2, "not worse")])
def test_evidence_is_about_the_margin(margin: float, evidence: str) -> None:
    """The same outcomes prove a wide margin and not a narrow one; the margin is kept with the evidence."""
    found = compared(auto="+" * 50, int8="+" * 50, margin=margin)["int8"]

    assert (found.evidence, found.margin) == (evidence, margin)


def test_without_a_baseline_nothing_is_compared() -> None:
    """Nor on a benchmark that the baseline did not run."""
    assert compared(baseline=None, int8="++") == {}
    assert compared(baseline="auto", int8="++") == {}


def with_control(letters: str | None) -> dict[str, Comparison]:
    """Compare three candidates with a baseline, and with a control where its outcomes are given."""
    recipes = {"auto": "+" * 12, "int8": "+" * 12, "w4a16": "-" * 6 + "+" * 6, "w2a16": "-" * 12}
    if letters is None:
        return compared(recipes)
    return compared(recipes, control="again", again=letters)


def test_a_control_is_compared_like_a_candidate_and_has_no_excess_over_itself() -> None:
    """Its own flips are reported; without a control no candidate has an excess."""
    found = with_control("-" + "+" * 11)

    assert (found["again"].regressed, found["again"].excess) == (("micro/0",), None)
    assert all(found[name].excess for name in ("int8", "w4a16", "w2a16"))
    assert all(one.excess is None for one in with_control(None).values())


def test_flips_are_set_beside_those_of_the_control() -> None:
    """Losses and gains are flips: four of the candidate, two of the control, which are among them."""
    found = compared(control="again", auto="++++----", again="-++++---", int8="-+-++-+-")["int8"].excess

    assert found is not None
    assert (found.flips, found.control_flips, found.shared) == (4, 2, 2)
    counts = PairedCounts(both=2, regressed=0, fixed=2, neither=4)
    assert (found.excess, found.p) == (difference(counts), mcnemar_p(counts))
    assert value(found.excess) == pytest.approx(2 / 8)


def test_a_control_that_flips_more_gives_a_negative_excess() -> None:
    """Then the candidate flips less than a second run of the baseline."""
    found = compared(control="again", auto="++++", again="---+", int8="+++-")["int8"].excess

    assert found is not None
    assert (found.flips, found.control_flips, found.shared) == (1, 3, 0)
    assert value(found.excess) == pytest.approx(-2 / 4)


def test_the_excess_is_over_cases_that_all_three_finished() -> None:
    """A case that any of them lacks is left out."""
    found = compared(control="again", auto="++.++", again="-+-.+", int8="-.--+")["int8"].excess

    assert found is not None
    assert isinstance(found.excess, Estimate)
    assert (found.excess.n, found.flips, found.control_flips, found.shared) == (2, 1, 1, 1)


def test_gains_count_in_the_relative_drop() -> None:
    """Also where the baseline solved nothing."""
    found = compared(auto="++ ++ +- --", int8="+- -- -+ +-")["int8"]

    assert value(found.relative_drop) == pytest.approx(1 - 1.5 / 2.5)


def test_flips_of_a_control_are_compared_by_cluster() -> None:
    """A control without flips, and three that the candidate flips: alone, or three of one source."""
    recipes = {"auto": "+" * 12, "int8": "---" + "+" * 9}
    alone = compared(recipes, control="again", again="+" * 12)["int8"].excess
    shared = compared(recipes, control="again", clusters=lambda _: "one", again="+" * 12)["int8"].excess
    assert alone is not None
    assert shared is not None
    assert (alone.flips, shared.flips, alone.p, shared.p) == (3, 3, 0.25, 1.0)
    assert value(alone.excess) == value(shared.excess) == 0.25
    assert isinstance(alone.excess, Estimate)
    assert isinstance(shared.excess, Estimate)
    assert alone.excess.low is not None
    assert shared.excess.low is not None
    assert shared.excess.low < alone.excess.low
