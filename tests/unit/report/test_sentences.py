"""The four answers about a candidate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_qeval.report.cost_ratios import CostRatio
from pytest_qeval.report.sentences import CandidateVerdict, compared, evidence_of, verdicts
from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import session, several_benchmarks, simulating

PASSED = GateResult(
    expression="pass@1 drop <= 2pt",
    recipe="int8",
    benchmark="micro",
    observed=Estimate(value=0.0, low=-0.3, high=0.3, n=8, method="score interval"),
    threshold=0.02,
    outcome="pass",
    evidence="unproven",
    reason="observed 0.0 pt",
)
BROKEN = replace(PASSED, outcome="fail", reason="observed 65.2 pt, required <= 2.0 pt")


def verdict(found: SummaryInput, gates: Sequence[GateResult] = ()) -> CandidateVerdict:
    (one,) = verdicts(summarize(found), gates)
    return one


@pytest.mark.parametrize(
    ("found", "gates", "said"),
    [
        (
            session("++++----", "+++-+--t"),
            [PASSED],
            "Yes, by the gates: every gate holds, but a loss of more than 2 points is not ruled out.",
        ),
        (
            session("++++----", "+++-+--t"),
            [],
            "Not decided: no gate was set, and a loss of more than 2 points is not ruled out.",
        ),
        (
            session("+" * 40, "-" * 40),
            [PASSED],
            "The gates allow it: every gate holds, but a loss of more than 2 points is proven.",
        ),
        (session("+" * 40, "-" * 40), [], "Rather not: no gate was set, and a loss of more than 2 points is proven."),
        (
            session("+-" * 300, "+-" * 300),
            [PASSED],
            "Yes: a loss of more than 2 points is ruled out; every gate holds.",
        ),
        (
            session("++", "++"),
            [PASSED, BROKEN],
            "No: it breaks 1 of 2 gates. pass@1 drop <= 2pt: observed 65.2 pt, required <= 2.0 pt.",
        ),
        (session("+++", "++ "), [PASSED], "Not yet: 1 case of the run is missing."),
    ],
    ids=["gated, unproven", "unproven", "gated, worse", "worse", "not worse", "broken", "missing"],
)
def test_whether_it_may_be_shipped(found: SummaryInput, gates: Sequence[GateResult], said: str) -> None:
    assert verdict(found, gates).may_ship == said


def test_what_is_lost_is_named() -> None:
    assert verdict(session("++++----", "+++-+--t")).lost == (
        "It lost 1 problem that the baseline solved (micro/3), and won 1."
    )
    assert verdict(session("++--", "++--")).lost == "No problem: it solves the same ones as the baseline."


def test_what_is_saved_has_its_kind() -> None:
    """What is better first; what is only simulated is not claimed."""
    assert verdict(session("++", "++")).saves == (
        "Better: weights in memory 62% less (1.5 kB instead of 4 kB, exact); throughput of the batch 2× as high "
        "(100 tokens/s instead of 50 tokens/s, measured once); energy of generating 75% less (0.1 Wh instead of "
        "0.4 Wh, estimated). Nearly the same: peak memory of the process (5 kB instead of 5 kB, measured)."
    )
    assert verdict(simulating(session("++", "++"), "int8")).saves == (
        "Better: weights, if packed 62% less (1.5 kB instead of 4 kB, counted, not packed here). Speed and energy are "
        "not known, since it is only simulated here."
    )


def test_how_sure_it_is_says_what_would_be_enough() -> None:
    sure = verdict(session("++++----", "+++-+--t")).sure

    assert sure.startswith("The change is +0.0 pt [−")
    assert "over 8 problems. 8 problems are too few to tell whether a loss is more than 2 points; about" in sure


def test_nothing_is_promised_to_a_recipe_that_lost() -> None:
    """More problems would not prove that it keeps what it has not kept."""
    sure = verdict(session("++++----", "++------")).sure

    assert "The change is −25.0 pt" in sure
    assert sure.endswith("8 problems are too few to tell whether a loss is more than 2 points.")


def test_what_was_never_compared_is_not_said_to_be_the_same() -> None:
    """As of a recipe that an interruption kept from being loaded."""
    found = session("++++----", "")
    lost = verdict(found).lost

    assert lost.startswith(("Nobody knows: ", "Nothing was compared"))


def test_shares_of_different_problems_are_not_set_beside_each_other() -> None:
    """Only the change over what both have compares."""
    found = session("++--+-", "++--")
    headline = verdict(found).headline

    assert "pass@1 changes by +0.0 pt [−" in headline
    assert "over the 4 problems that both have" in headline


def test_the_headline_is_one_sentence_with_the_verdict_first() -> None:
    """Of several benchmarks it is about all of them together."""
    found = several_benchmarks(a=("++--", "++--"), b=("++", "+-"))
    headline = verdict(found, [BROKEN]).headline

    assert headline.startswith(
        "int8: FAIL (pass@1 drop <= 2pt), pass@1 50.0% against the baseline’s 66.7% over 6 problems; too few "
    )
    assert headline.endswith(
        "problems to tell, a loss of up to 63.9 points is possible; weights 62% smaller; 2× faster (in a batch)."
    )


def test_no_speed_is_told_that_was_timed_on_a_busy_machine() -> None:
    found = session("++", "++")
    reason = "other processes took 50% of the machine"
    disturbed = replace(found, generation=[replace(one, contended=reason) for one in found.generation])

    assert "in a batch" in verdict(found).headline
    assert "in a batch" not in verdict(disturbed).headline


@pytest.mark.parametrize(
    ("baseline", "candidate", "gates", "start"),
    [
        (
            "++--" * 60,
            "++--" * 60,
            [PASSED],
            "PASS, solves 120 of 240 problems against the baseline’s 120; losses above 1",
        ),
        (
            "+" * 40,
            "-" * 40,
            [],
            "no gate, solves 0 of 40 problems against the baseline’s 40; it loses at least 7",
        ),
        ("+", "+", [BROKEN] * 2, "FAIL (pass@1 drop <= 2pt), solves 1 of 1 problem against the baseline’s 1;"),
    ],
    ids=["held", "worse", "the same gate on two benchmarks"],
)
def test_the_headline_counts_problems(baseline: str, candidate: str, gates: Sequence[GateResult], start: str) -> None:
    assert verdict(session(baseline, candidate), gates).headline.startswith(f"int8: {start}")


def test_without_a_baseline_the_headline_says_so() -> None:
    alone = replace(session("++--", "+---"), baseline=None)

    assert verdict(alone).headline.startswith("int8: no gate, solves 1 of 4 problems, compared with no baseline")


@pytest.mark.parametrize(
    ("baseline", "candidate", "end"),
    [
        ("+-" * 300, "+-" * 300, "That rules out a loss of more than 2 points."),
        ("+" * 40, "-" * 40, "That proves a loss of more than 2 points."),
    ],
    ids=["not worse", "worse"],
)
def test_how_sure_it_is_says_what_is_proven(baseline: str, candidate: str, end: str) -> None:
    assert verdict(session(baseline, candidate)).sure.endswith(end)


def test_a_loss_that_is_likely_is_told_though_its_size_is_not_proven() -> None:
    """The whole interval lies below zero, and reaches to both sides of the margin."""
    found = verdict(session("+" * 300, "+" * 290 + "-" * 10))

    assert re.search(r"; a loss of 1\.\d to 6\.\d points is likely;", found.headline)
    assert found.sure.endswith(
        ". A loss is likely. 300 problems are too few to tell whether a loss is more than 2 points."
    )


def test_what_is_nearly_the_same_is_told_too() -> None:
    """Or a reader takes smaller weights for a smaller process."""
    found = session("++", "++")
    costs = [replace(one, peak_memory_bytes=1000 + 20 * (one.recipe == "int8")) for one in found.generation]

    assert verdict(replace(found, generation=costs)).saves.endswith(
        "Nearly the same: peak memory of the process (1.02 kB instead of 1 kB, measured)."
    )


@pytest.mark.parametrize(
    ("ratio", "better", "said"),
    [
        (0.34, "lower", "66% less"),
        (1.09, "lower", "9% more"),
        (2.82, "lower", "2.8× as much"),
        (0.33, "higher", "67% lower"),
        (1.5, "higher", "50% higher"),
        (2.8, "higher", "2.8× as high"),
    ],
)
def test_costs_are_compared_in_words(ratio: float, better: str, said: str) -> None:
    cost = CostRatio(name="x", unit="Wh", baseline=1.0, candidate=ratio, kind="measured")

    assert compared(replace(cost, higher_is_better=better == "higher")) == said


def test_a_recipe_that_was_never_loaded_has_no_answers() -> None:
    found = session("++", "")
    gone = verdict(replace(found, recipes={"auto": found.recipes["auto"]}, records=found.records[:2]))

    assert gone.headline == "int8: no gate, it was never loaded, so nothing is known of it."
    assert gone.may_ship == "This run does not say: it was never loaded."


def test_what_costs_nothing_is_not_nearly_the_same() -> None:
    found = session("++", "++")
    free = [
        replace(one, energy=replace(one.energy, energy_wh=0.0 if one.recipe == "int8" else 0.4))
        for one in found.generation
    ]

    assert "Nearly the same: peak memory" in verdict(replace(found, generation=free)).saves
    assert "0 Wh" not in verdict(replace(found, generation=free)).saves


def test_what_was_not_counted_is_not_exact() -> None:
    gone = replace(PASSED, expression="regressed <= 3", observed=Undefined(reason="int8 was never loaded"))

    assert evidence_of(gone) == "unproven"


def test_nothing_is_unproven_of_an_exact_number() -> None:
    assert evidence_of(PASSED) == "unproven"
    for expression in ("model_bytes ratio <= 0.5", "model bytes <= 500MB", "disk <= 400MB", "regressed <= 3"):
        assert evidence_of(replace(PASSED, expression=expression)) == "exact"
