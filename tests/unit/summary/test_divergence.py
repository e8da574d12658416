"""Divergence: means with intervals, the worst problems, and whether divergence predicts flips."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.intervals import proportion, ratio_of_positive_sums
from pytest_qeval.summary.divergence import summarize_divergence
from tests.unit.summary.divergences import facts, problem, rising


def value(quantity: Quantity) -> float:
    assert isinstance(quantity, Estimate)
    return quantity.value


def test_every_token_weighs_the_same() -> None:
    found = summarize_divergence(facts(problem(0, tokens=10, kl=1.0), problem(1, tokens=30, kl=0.6)), None)
    assert value(found.means["kl"]) == pytest.approx(1.6 / 40)
    assert value(found.means["reverse_kl"]) == pytest.approx(3.2 / 40)
    assert value(found.means["same_top1"]) == pytest.approx(38 / 40)
    assert value(found.means["delta_p"]) == pytest.approx(-1.6 / 40)
    assert value(found.means["rms_delta_p"]) == pytest.approx(math.sqrt(1.36 / 40))
    assert value(found.means["perplexity_ratio"]) == pytest.approx(math.exp(1.6 / 40))


def test_intervals_are_over_problems() -> None:
    """What has a sign is drawn again; what is at least 0 is skewed, and has an interval of its own."""
    found = summarize_divergence(rising(20), None)
    for name, quantity in found.means.items():
        assert isinstance(quantity, Estimate)
        if quantity.method == "all problems equal":
            continue
        has_sign = name in {"delta_p", "perplexity_ratio"}
        method = "bootstrap over problems" if has_sign else "delta method, one unseen problem"
        assert (quantity.n, quantity.method) == (20, method)
        assert quantity.low is not None
        assert quantity.high is not None
        assert quantity.low < quantity.value < quantity.high
    assert found.means["same_top1"] == Estimate(value=0.9, low=None, high=None, n=20, method="all problems equal")


def test_a_model_that_does_not_diverge_has_intervals() -> None:
    """KL is 0 to 0, as nothing was different; of the tokens that agree, so many problems prove so much."""
    same = [replace(problem(number, kl=0.0), same_top1=10, tokens=10, reverse_kl=0.0) for number in range(40)]
    found = summarize_divergence(facts(*same), None).means
    assert found["kl"] == Estimate(value=0.0, low=0.0, high=0.0, n=40, method="no token diverges")
    assert found["reverse_kl"] == found["kl"]
    assert found["same_top1"] == proportion(40, 40)


def test_the_share_of_equal_tokens_has_the_interval_of_the_others() -> None:
    """Few problems make most of the differences, so that it is the lower limit that allows for one more."""
    differing = [(10, number % 4 == 0) for number in range(40)]
    problems = [replace(problem(number), same_top1=10 - 2 * moved) for number, (_, moved) in enumerate(differing)]
    found = summarize_divergence(facts(*problems), None).means["same_top1"]
    others = ratio_of_positive_sums([2 * moved for _, moved in differing], [tokens for tokens, _ in differing])

    assert isinstance(others, Estimate)
    assert others.low is not None
    assert others.high is not None
    assert found == replace(others, value=1 - others.value, low=1 - others.high, high=1 - others.low)


def test_the_worst_have_the_largest_mean() -> None:
    """A long solution is not worse for being long."""
    long = problem(9, tokens=1000, kl=5.0)
    found = summarize_divergence(facts(long, *(problem(number, kl=0.1 * (number + 1)) for number in range(7))), None)
    assert [one.task_id for one in found.worst] == ["t/6", "t/5", "t/4", "t/3", "t/2"]


def test_a_problem_that_does_not_diverge_is_no_worst() -> None:
    assert summarize_divergence(facts(problem(0, kl=0.0)), None).worst == ()


def test_divergence_that_predicts_flips_is_distinguished_from_one_that_does_not() -> None:
    perfect = summarize_divergence(rising(10), {"t/8", "t/9"}).prediction
    assert (value(perfect.auc), perfect.flipped) == (1.0, 2)
    assert value(perfect.spearman) == pytest.approx(math.sqrt(12 * 2 * 8 / 99) / 2, abs=0.02)
    assert perfect.p is not None
    assert perfect.p < 0.05
    reverse = summarize_divergence(rising(10), {"t/0", "t/1"}).prediction
    assert value(reverse.auc) == 0.0
    assert value(reverse.spearman) == pytest.approx(-value(perfect.spearman))
    none = summarize_divergence(rising(10), {"t/0", "t/9"}).prediction
    assert value(none.auc) == 0.5
    assert value(none.spearman) == pytest.approx(0)


def test_ties_count_half() -> None:
    found = summarize_divergence(facts(problem(0), problem(1), problem(2, kl=0.1)), {"t/0"}).prediction
    assert value(found.auc) == 0.75


def test_only_problems_with_both_outcomes_count_for_flips() -> None:
    found = summarize_divergence(rising(10), {"t/3"}, compared={"t/1", "t/2", "t/3"}).prediction
    assert isinstance(found.spearman, Estimate)
    assert (found.spearman.n, value(found.auc)) == (3, 1.0)


@pytest.mark.parametrize(
    ("flips", "reason"),
    [
        (None, "nothing was generated"),
        (set(), "no problem flipped"),
        ({"t/0", "t/1"}, "every problem flipped"),
        ({"t/0"}, "all problems diverge equally"),
    ],
    ids=["replay", "none", "all", "equal"],
)
def test_nothing_is_predicted_without_flips_and_others(flips: set[str] | None, reason: str) -> None:
    found = summarize_divergence(facts(problem(0), problem(1)), flips).prediction
    assert found.spearman == found.auc == Undefined(reason=reason)
    assert found.p is None
    assert found.flipped == (None if flips is None else len(flips))


def test_without_texts_every_mean_is_undefined() -> None:
    found = summarize_divergence(facts(), set())
    assert all(isinstance(quantity, Undefined) for quantity in found.means.values())


def test_problems_that_share_a_source_prove_less() -> None:
    """Of means per token, and of the share of equal tokens where all are."""
    same = [replace(problem(number, kl=0.1 + number // 10), same_top1=10) for number in range(40)]
    alone = summarize_divergence(facts(*same), None).means
    together = summarize_divergence(facts(*same), None, clusters=lambda case: case.task_id[:3]).means
    for name in ("kl", "delta_p", "rms_delta_p", "perplexity_ratio", "same_top1"):
        (low, high), (least, most) = ends(alone[name]), ends(together[name])
        assert value(alone[name]) == pytest.approx(value(together[name]))
        assert most - least > high - low, name


def ends(quantity: Quantity) -> tuple[float, float]:
    assert isinstance(quantity, Estimate)
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.low, quantity.high
