"""A comparison is kept as sums per problem and percentiles over tokens."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence, divergence_facts, percentiles
from pytest_qeval.measure.topk import Scores, TextDivergence, TextScores, kept_log_prob
from pytest_qeval.records.messages import from_plain, to_plain


def text(task_id: str, *log_probs: float, other: int = 7) -> TextScores:
    """Make scores whose likeliest token is the solution's."""
    rest = tuple(kept_log_prob(-1.0 - value) for value in log_probs)
    return TextScores(
        task_id=task_id,
        tokens_sha256="0" * 64,
        choices=(other,) * len(log_probs),
        top_ids=((7,),) * len(log_probs),
        top_log_probs=tuple((value,) for value in log_probs),
        tail_log_probs=rest,
        reference_log_probs=log_probs,
    )


def scores(*texts: TextScores, incomparable: tuple[str, ...] = ()) -> Scores:
    by_id = {one.task_id: one for one in texts}
    return Scores(k=8, texts=by_id, incomparable=incomparable, duration_s=2.0)


def facts() -> DivergenceFacts:
    baseline = scores(text("t/0", -0.1, -0.2), text("t/1", -0.3), text("t/2", -0.4))
    candidate = scores(text("t/0", -0.1, -0.5, other=8), text("t/1", -0.3), incomparable=("t/2",))
    return divergence_facts(baseline, candidate, recipe="int8", baseline_recipe="auto", benchmark="micro")


def test_tokens_are_summed_up_by_problem() -> None:
    divergence = TextDivergence(
        task_id="t/0",
        kl=(0.5, 0.25),
        reverse_kl=(1.0, 0.0),
        same_top1=(True, False),
        delta_p=(-0.5, 0.25),
        baseline_log_probs=(-1.0, -2.0),
        candidate_log_probs=(-1.5, -2.0),
    )
    total = ProblemDivergence.total(divergence)
    assert total == ProblemDivergence(
        task_id="t/0",
        tokens=2,
        kl=0.75,
        reverse_kl=1.0,
        same_top1=1,
        delta_p=-0.25,
        delta_p_squared=0.3125,
        baseline_log_prob=-3.0,
        candidate_log_prob=-3.5,
    )
    assert total.mean_kl == 0.375


def test_what_both_models_have_seen_is_compared() -> None:
    found = facts()
    assert (found.recipe, found.baseline, found.benchmark, found.k) == ("int8", "auto", "micro", 8)
    assert [problem.task_id for problem in found.problems] == ["t/0", "t/1"]
    assert (found.tokens, found.incomparable, found.duration_s) == (3, 1, 2.0)
    assert [problem.same_top1 for problem in found.problems] == [0, 1]
    assert found.problems[1].kl == 0
    assert found.kl_percentiles["max"] == found.problems[0].kl > 0 == found.kl_percentiles["p50"]
    assert found.delta_p_percentiles["min"] == found.problems[0].delta_p < 0


def test_facts_survive_json() -> None:
    assert from_plain(json.loads(json.dumps(to_plain(facts())))) == facts()


def test_percentiles_lie_between_the_order_statistics() -> None:
    found = percentiles(float(value) for value in range(101))
    names = ("min", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max")
    assert list(found) == list(names)
    assert list(found.values()) == pytest.approx([0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100])


@settings(deadline=None)
@given(values=st.lists(st.floats(-1, 1), min_size=1))
def test_percentiles_rise_from_the_least_to_the_largest(values: list[float]) -> None:
    found = list(percentiles(values).values())
    assert (found[0], found[-1]) == (min(values), max(values))
    assert all(a <= b + 1e-12 for a, b in pairwise(found))


def test_nothing_has_no_percentiles() -> None:
    assert percentiles([]) == {}
