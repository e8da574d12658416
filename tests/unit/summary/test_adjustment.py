"""P-values are corrected for the number of comparisons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.schema import Undefined
from pytest_qeval.stats.paired import adjusted
from pytest_qeval.summary.adjustment import adjust_pass_rates_and_scores, adjust_pools, adjust_robust_changes
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robustness import ALL
from pytest_qeval.summary.scores import ScoreChange, ScoreComparison
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import several_benchmarks

UNKNOWN = Undefined(reason="not needed")


def comparison(recipe: str, p: float) -> Comparison:
    return Comparison(
        benchmark="micro",
        recipe=recipe,
        baseline="auto",
        delta=UNKNOWN,
        relative_drop=UNKNOWN,
        regressed=(),
        fixed=(),
        test="McNemar",
        mcnemar_p=p,
        mcnemar_p_adjusted=p,
        odds_ratio=UNKNOWN,
        evidence="unproven",
        margin=0.02,
        detectable_drop=None,
    )


def scores(recipe: str, **p: float) -> ScoreComparison:
    changes = {
        name: ScoreChange(
            delta=UNKNOWN,
            relative_drop=UNKNOWN,
            higher=0,
            lower=0,
            p=value,
            p_adjusted=value,
            evidence="unproven",
            margin=0.01,
            detectable_drop=None,
        )
        for name, value in p.items()
    }
    return ScoreComparison(benchmark="text", recipe=recipe, baseline="auto", changes=changes)


def robust(recipe: str, scope: str, p: float) -> RobustChange:
    return RobustChange(
        benchmark="micro",
        recipe=recipe,
        baseline="auto",
        scope=scope,
        drop_increase=UNKNOWN,
        robust_pass_delta=UNKNOWN,
        broken=(),
        mended=(),
        mcnemar_p=p,
        mcnemar_p_adjusted=p,
        evidence="unproven",
        margin=0.03,
    )


def test_pass_rates_and_scores_are_one_family() -> None:
    """All candidates, benchmarks and scores are corrected together."""
    flips, moves = adjust_pass_rates_and_scores(
        [comparison("int8", 0.01), comparison("w4a16", 0.04)], [scores("int8", bleu=0.5, chrf=0.02)], control=None
    )

    found = [*(one.mcnemar_p_adjusted for one in flips), *(one.p_adjusted for one in moves[0].changes.values())]
    assert found == pytest.approx(adjusted([0.01, 0.04, 0.5, 0.02]))
    assert [one.mcnemar_p for one in flips] == [0.01, 0.04]


def test_a_control_is_not_corrected_and_corrects_nothing() -> None:
    flips, moves = adjust_pass_rates_and_scores(
        [comparison("int8", 0.01), comparison("again", 0.001)], [scores("again", bleu=0.003)], control="again"
    )

    assert [one.mcnemar_p_adjusted for one in flips] == [0.01, 0.001]
    assert moves[0].changes["bleu"].p_adjusted == 0.003


def test_nothing_to_correct_is_nothing() -> None:
    assert adjust_pass_rates_and_scores([], [], control=None) == ((), ())
    assert adjust_robust_changes([], set(), control=None) == ()


def test_perturbations_categories_and_all_are_families_of_their_own() -> None:
    """Three perturbations, two categories, and one scope of all; the control belongs to none."""
    scopes = {"typos": 0.01, "words": 0.04, "tabs": 0.5, "docstring": 0.02, "format": 0.6, ALL: 0.03}
    changes = [robust("int8", scope, p) for scope, p in scopes.items()]
    control = robust("again", "typos", 0.001)

    found = adjust_robust_changes([*changes, control], {"typos", "words", "tabs"}, control="again")

    expected = [*adjusted([0.01, 0.04, 0.5]), *adjusted([0.02, 0.6]), 0.03, 0.001]
    assert [one.mcnemar_p_adjusted for one in found] == pytest.approx(expected)


def test_pools_are_corrected_among_candidates() -> None:
    """Not with the benchmarks, whose problems they have; a control is no candidate."""
    pools = tuple(
        replace(summarize(several_benchmarks(a=("++", "++"), b=("+", "+"))).pooled[0], recipe=recipe, p=p, p_adjusted=p)
        for recipe, p in (("int8", 0.01), ("int4", 0.04), ("control", 0.5))
    )
    assert [one.p_adjusted for one in adjust_pools(pools, control="control")] == pytest.approx([0.02, 0.04, 0.5])
