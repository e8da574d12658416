"""Completions that are scored: means, and differences from the baseline case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from pytest_qeval.schema import Case, Estimate, Record
from pytest_qeval.stats.paired import paired_mean, relative_drop_of_means
from pytest_qeval.stats.scores import mean_score, sign_flip_p
from pytest_qeval.summary.scores import ScoreChange, ScoreResult, compare_scores, is_scored, score_results
from tests.unit.summary.builders import SCORES_BASE, SCORES_OWN, scored

Keys = dict[tuple[str, Case], Record]


def records_of(recipe: str, scores: Sequence[float | None]) -> Keys:
    """Make one record per score; None is a lost case."""
    found = [scored(recipe, number, score) for number, score in enumerate(scores) if score is not None]
    return {(recipe, record.case): record for record in found}


def groups_of(*recipes: str, n: int = 6) -> Mapping[tuple[str, str], Sequence[Case]]:
    cases = [Case(benchmark="text", task_id=f"text/{number}") for number in range(n)]
    return {("text", recipe): cases for recipe in recipes}


def result(records: Keys, n: int = 6) -> ScoreResult:
    (found,) = score_results(groups_of("int8", n=n), records)
    return found


def change(candidate: Sequence[float | None] = SCORES_OWN) -> ScoreChange:
    records = records_of("auto", SCORES_BASE) | records_of("int8", candidate)
    (found,) = compare_scores(groups_of("auto", "int8"), records, baseline="auto", margins=lambda *_: 0.01)
    return found.changes["bleu"]


def test_means_are_those_of_the_cases() -> None:
    found = result(records_of("int8", SCORES_OWN))

    assert found.means["bleu"] == mean_score(SCORES_OWN)
    assert found.cases["text/1"] == {"bleu": 0.125, "chrf": 0.125}


def test_a_lost_case_is_missing_and_not_zero() -> None:
    found = result(records_of("int8", [0.5, None, *SCORES_OWN[2:]]))

    assert (found.missing, len(found.cases)) == (1, 5)
    assert found.means["bleu"] == mean_score([0.5, *SCORES_OWN[2:]])


def test_samples_count_by_their_mean_and_empty_completions_are_counted() -> None:
    records = [scored("int8", 0, 0.2, 0.4), scored("int8", 1, 0.0, text="")]
    found = result({("int8", record.case): record for record in records}, n=2)

    assert found.cases["text/0"]["chrf"] == pytest.approx(0.3)
    assert found.empty == 1


def test_differences_are_paired_case_by_case() -> None:
    found = change()

    assert found.delta == paired_mean(SCORES_BASE, SCORES_OWN)
    assert found.p == sign_flip_p([own - base for base, own in zip(SCORES_BASE, SCORES_OWN, strict=True)])
    assert (found.higher, found.lower, found.margin) == (1, 3, 0.01)


def test_the_relative_drop_is_a_share_of_the_baselines_mean() -> None:
    """With the interval of the difference, which ends the other way round."""
    found = change()

    assert found.relative_drop == relative_drop_of_means(SCORES_BASE, SCORES_OWN, verb="scored")
    assert isinstance(found.relative_drop, Estimate)
    assert isinstance(found.delta, Estimate)
    assert found.delta.low is not None
    assert found.relative_drop.value == pytest.approx(1 - sum(SCORES_OWN) / sum(SCORES_BASE))
    assert found.relative_drop.high == pytest.approx(-found.delta.low / (sum(SCORES_BASE) / 6))


def test_a_case_that_one_of_them_lacks_is_no_pair() -> None:
    found = change([0.5, None, *SCORES_OWN[2:]])

    assert isinstance(found.delta, Estimate)
    assert found.delta.n == 5


def test_a_benchmark_is_scored_by_its_facts_or_by_any_record() -> None:
    """Facts are enough where no record came back, and a record where the facts are not known."""
    assert is_scored("text", {"text": {"scored": True}}, {})
    assert is_scored("text", {}, records_of("int8", [0.5]))
    assert not is_scored("micro", {"micro": {}}, records_of("int8", [0.5]))
