"""A summary of a whole session: which cases belong where, and what is combined."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.stats.paired import adjusted
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import scored, scored_session, session, session_of_both_kinds
from tests.unit.summary.divergences import problem


def test_flips_are_named_in_both_directions() -> None:
    """Solved by the baseline only is regressed, by the candidate only is fixed."""
    (comparison,) = summarize(session("++++----", "+++-+--t")).comparisons

    assert (comparison.regressed, comparison.fixed) == (("micro/3",), ("micro/4",))
    assert isinstance(comparison.delta, Estimate)
    assert comparison.delta.value == 0
    assert comparison.mcnemar_p == 1.0


def test_a_lost_case_is_missing_and_left_out_of_the_pairs() -> None:
    """The plan is the denominator of `missing`, the common cases that of the difference."""
    summary = summarize(session("++++", "++ +"))

    assert summary.missing == 1
    assert isinstance(summary.comparisons[0].delta, Estimate)
    assert summary.comparisons[0].delta.n == 3


def test_scored_cases_are_neither_solved_nor_unsolved() -> None:
    """A run of both kinds keeps them apart: pass rates are of what was executed."""
    summary = summarize(session_of_both_kinds())

    assert {result.benchmark for result in summary.results} == {"micro"}
    assert {result.benchmark for result in summary.score_results} == {"text"}
    assert [one.benchmark for one in summary.comparisons] == ["micro"]
    assert (summary.planned, summary.received) == (8 + 12, 8 + 12)


def test_a_scored_benchmark_without_records_is_still_a_scored_one() -> None:
    """Its facts are enough."""
    summary = summarize(scored_session([0.5] * 6, [None] * 6))

    assert summary.results == ()
    assert [(one.recipe, one.missing) for one in summary.score_results] == [("auto", 0), ("int8", 6)]


def test_p_values_of_both_kinds_are_corrected_together() -> None:
    summary = summarize(session_of_both_kinds())
    (flips,), (scores,) = summary.comparisons, summary.score_comparisons
    assert flips.mcnemar_p is not None
    raw = [flips.mcnemar_p, *(change.p for change in scores.changes.values())]

    found = [flips.mcnemar_p_adjusted, *(change.p_adjusted for change in scores.changes.values())]
    assert found == pytest.approx(adjusted(raw))
    assert found != raw


def test_a_control_is_no_candidate() -> None:
    """It is compared, and does not correct the p-values of candidates."""
    found = scored_session([0.5, 0.25, 1.0], [0.5, 0.125, 0.75])
    again = [scored("control", n, score) for n, score in enumerate([0.5, 0.25, 1.0])]
    planned = [*found.planned, *(("control", record.case) for record in again)]
    summary = summarize(replace(found, planned=planned, records=[*found.records, *again], control="control"))
    changes = {one.recipe: one.changes["bleu"] for one in summary.score_comparisons}

    assert changes["int8"].p_adjusted == pytest.approx(changes["int8"].p)
    assert changes["control"].p_adjusted == changes["control"].p == 1.0


def test_margins_are_asked_by_metric_recipe_and_benchmark() -> None:
    """Each comparison keeps the margin that its evidence is about."""
    margins = {
        ("pass@K", "int8", "micro"): 0.07,
        ("pass@K", "int8", "all"): 0.05,
        ("bleu", "int8", "text"): 0.03,
        ("chrf", "int8", "text"): 0.04,
    }
    summary = summarize(replace(session_of_both_kinds(), margins=lambda *key: margins[key]))

    assert summary.comparisons[0].margin == 0.07
    assert summary.pooled[0].margin == 0.05
    assert {name: change.margin for name, change in summary.score_comparisons[0].changes.items()} == {
        "bleu": 0.03, "chrf": 0.04,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("candidate", "flipped"), [("+-", 1), ("++", 0), ("  ", 0)], ids=["one flip", "no flip", "no outcome"]
)
def test_divergence_is_set_beside_the_flips_of_its_benchmark(candidate: str, flipped: int) -> None:
    """Only problems with an outcome under both recipes count."""
    facts = DivergenceFacts(
        recipe="int8",
        baseline="auto",
        benchmark="micro",
        k=32,
        problems=tuple(replace(problem(n, kl=0.1 * n), task_id=f"micro/{n}") for n in range(3)),
        kl_percentiles={},
        delta_p_percentiles={},
        duration_s=1.0,
        incomparable=0,
    )
    prediction = summarize(replace(session("++", candidate), divergence={"int8": facts})).divergence["int8"].prediction

    assert prediction.flipped == flipped
    if flipped:
        assert isinstance(prediction.auc, Estimate)
        assert (prediction.auc.n, prediction.auc.value) == (2, 1.0)


def test_divergence_without_generation_predicts_nothing() -> None:
    facts = DivergenceFacts(
        recipe="int8", baseline="auto", benchmark="micro", k=32, problems=(problem(0),), kl_percentiles={},
        delta_p_percentiles={}, duration_s=1.0, incomparable=0,
    )  # fmt: skip
    summary = summarize(replace(session("", ""), divergence={"int8": facts}))

    assert summary.divergence["int8"].prediction.spearman == Undefined(reason="nothing was generated")
