"""A comparison is concluded from problems: means with intervals, the worst, and whether divergence foretells flips."""

from __future__ import annotations

import json
import math

import pytest

from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence, percentiles
from pytest_qeval.report.divergence import divergence_dict, divergence_lines
from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.summary.divergence import summarize_divergence


def problem(number: int, *, tokens: int = 10, kl: float = 0.5) -> ProblemDivergence:
    return ProblemDivergence(
        task_id=f"t/{number}",
        tokens=tokens,
        kl=kl,
        reverse_kl=2 * kl,
        same_top1=tokens - 1,
        delta_p=-kl,
        delta_p_squared=kl * kl,
        baseline_log_prob=-1.0,
        candidate_log_prob=-1.0 - kl,
    )


def facts(*problems: ProblemDivergence, incomparable: int = 0) -> DivergenceFacts:
    means = [problem.mean_kl for problem in problems]
    return DivergenceFacts(
        recipe="int8",
        baseline="auto",
        benchmark="micro",
        k=32,
        problems=problems,
        kl_percentiles=percentiles(means),
        delta_p_percentiles=percentiles(-mean for mean in means),
        duration_s=1.5,
        incomparable=incomparable,
    )


def rising(n: int) -> DivergenceFacts:
    """Make problems of which each diverges more than the one before."""
    return facts(*(problem(number, kl=0.1 * (number + 1)) for number in range(n)))


def value(quantity: Quantity) -> float:
    assert isinstance(quantity, Estimate)
    return quantity.value


def test_every_token_weighs_the_same() -> None:
    found = summarize_divergence(facts(problem(0, tokens=10, kl=1.0), problem(1, tokens=30, kl=0.6)), None)
    assert value(found.kl) == pytest.approx(1.6 / 40)
    assert value(found.reverse_kl) == pytest.approx(3.2 / 40)
    assert value(found.same_top1) == pytest.approx(38 / 40)
    assert value(found.delta_p) == pytest.approx(-1.6 / 40)
    assert value(found.rms_delta_p) == pytest.approx(math.sqrt(1.36 / 40))
    assert value(found.perplexity_ratio) == pytest.approx(math.exp(1.6 / 40))


def test_intervals_come_from_drawing_problems_again() -> None:
    found = summarize_divergence(rising(20), None)
    for quantity in found.means.values():
        assert isinstance(quantity, Estimate)
        if quantity.method == "all problems equal":
            continue
        assert (quantity.n, quantity.method) == (20, "bootstrap over problems")
        assert quantity.low is not None
        assert quantity.high is not None
        assert quantity.low < quantity.value < quantity.high
    assert found.means["same_top1"] == Estimate(value=0.9, low=None, high=None, n=20, method="all problems equal")


def test_the_worst_have_the_largest_mean() -> None:
    """A long solution is not worse for being long."""
    long = problem(9, tokens=1000, kl=5.0)
    found = summarize_divergence(facts(long, *(problem(number, kl=0.1 * (number + 1)) for number in range(7))), None)
    assert [one.task_id for one in found.worst] == ["t/6", "t/5", "t/4", "t/3", "t/2"]


def test_a_problem_that_does_not_diverge_is_no_worst() -> None:
    assert summarize_divergence(facts(problem(0, kl=0.0)), None).worst == ()


def test_divergence_that_foretells_flips_is_told_from_one_that_does_not() -> None:
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


def test_only_problems_with_two_outcomes_say_something_about_flips() -> None:
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
def test_nothing_is_foretold_without_two_sides(flips: set[str] | None, reason: str) -> None:
    found = summarize_divergence(facts(problem(0), problem(1)), flips).prediction
    assert found.spearman == found.auc == Undefined(reason=reason)
    assert found.p is None
    assert found.flipped == (None if flips is None else len(flips))


def test_the_report_holds_plain_values() -> None:
    row = divergence_dict(summarize_divergence(rising(10), {"t/8"}))
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert set(row["kl"]) == {"value", "low", "high", "n", "method", "confidence"}
    assert row["problems"]["t/0"] == {
        "tokens": 10,
        "kl": 0.1,
        "reverse_kl": 0.2,
        "same_top1": 9,
        "delta_p": -0.1,
        "delta_p_squared": pytest.approx(0.01),
        "baseline_log_prob": -1.0,
        "candidate_log_prob": -1.1,
    }
    assert (row["baseline"], row["benchmark"], row["k"], row["tokens"]) == ("auto", "micro", 32, 100)
    assert row["worst"] == ["t/9", "t/8", "t/7", "t/6", "t/5"]
    assert (row["flips"]["flipped"], row["kl_percentiles"]["max"]) == (1, 0.1)


def test_the_terminal_shows_a_screenful() -> None:
    shown = list(divergence_lines(summarize_divergence(rising(10), {"t/8", "t/9"})))
    assert len(shown) == 7
    assert shown[0] == "divergence of int8 from auto: 100 tokens of 10 micro solutions"
    assert [line.split("  ")[1] for line in shown[1:4]] == ["KL, nats per token", "same top-1", "mean Δp"]
    assert "0.055" in shown[1]
    assert "90.00%" in shown[2]
    assert "−5.500%" in shown[3]
    assert shown[4].startswith(
        "  KL of tokens: p50 0.055 · p90 0.091 · p99 0.099 · p99.9 0.1 · max 0.1; all but the 32"
    )
    assert shown[5] == "  largest KL: t/9 (0.1), t/8 (0.09), t/7 (0.08), t/6 (0.07), t/5 (0.06)"
    assert shown[6].startswith("  KL and flips: Spearman +0.70 (p = 0.025), AUC 1.00; 2 of 10 problems flipped")


def test_the_terminal_says_what_was_left_out() -> None:
    shown = list(divergence_lines(summarize_divergence(facts(incomparable=3), None)))
    assert shown == [
        "divergence of int8 from auto: 0 tokens of 0 micro solutions",
        "  3 left out: other tokens than the baseline's, or no room in the context",
    ]


def test_the_terminal_says_why_nothing_is_foretold() -> None:
    shown = list(divergence_lines(summarize_divergence(facts(problem(0, kl=0.0)), None)))
    assert shown[-2:] == ["  largest KL: none, nothing diverges", "  KL and flips: nothing was generated"]


def test_without_texts_every_mean_is_undefined() -> None:
    found = summarize_divergence(facts(), set())
    assert all(isinstance(quantity, Undefined) for quantity in found.means.values())
    assert divergence_dict(found)["problems"] == {}
