"""Scores are kept small and rounded; divergence of what is kept agrees with its formula and bounds the full one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.errors import DataError
from pytest_qeval.measure.topk import TextScores, compare_scores, digest, kept_log_prob

DISTRIBUTIONS = st.lists(st.floats(1e-6, 1), min_size=6, max_size=6).map(
    lambda weights: [w / sum(weights) for w in weights]
)


def scores(top: list[float], tail: float, *, reference: float = 0.5, choice: int = 0) -> TextScores:
    """Make the scores of one token from probabilities."""
    log = [kept_log_prob(math.log(p)) if p else -100.0 for p in (*top, tail, reference)]
    return TextScores(
        task_id="t/0",
        tokens_sha256="0" * 64,
        choices=(choice,),
        top_ids=(tuple(range(len(top))),),
        top_log_probs=(tuple(log[: len(top)]),),
        tail_log_probs=(log[-2],),
        reference_log_probs=(log[-1],),
    )


def full_kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_a_hand_computed_value() -> None:
    """KL of (1/2, 1/4, 1/4) from (1/4, 1/4, 1/2) is ln(2)/4, either way."""
    found = compare_scores(scores([0.5, 0.25], 0.25), scores([0.25, 0.25], 0.5, reference=0.25, choice=1))
    assert found.kl == pytest.approx([math.log(2) / 4], abs=1e-5)
    assert found.reverse_kl == pytest.approx([math.log(2) / 4], abs=1e-5)
    assert found.same_top1 == (False,)
    assert found.delta_p == pytest.approx([-0.25], abs=1e-5)
    assert (found.baseline_log_probs, found.candidate_log_probs) == ((-0.69315,), (-1.38629,))


def test_the_directions_differ() -> None:
    p, q = [0.9, 0.05, 0.05], [0.5, 0.3, 0.2]
    found = compare_scores(scores(p[:2], p[2]), scores(q[:2], q[2]))
    assert found.kl == pytest.approx([full_kl(p, q)], abs=1e-4)
    assert found.reverse_kl == pytest.approx([full_kl(q, p)], abs=1e-4)


@settings(deadline=None)
@given(p=DISTRIBUTIONS, q=DISTRIBUTIONS, k=st.integers(1, 5))
def test_lumping_gives_a_lower_bound(p: list[float], q: list[float], k: int) -> None:
    found = compare_scores(scores(p[:k], sum(p[k:])), scores(q[:k], sum(q[k:])))
    slack = 1e-4 * (1 + max(abs(math.log(a / b)) for a, b in zip(p, q, strict=True)))
    assert found.kl[0] <= full_kl(p, q) + slack
    assert found.reverse_kl[0] <= full_kl(q, p) + slack


@settings(deadline=None)
@given(p=DISTRIBUTIONS, q=DISTRIBUTIONS)
def test_rounding_makes_no_divergence_negative(p: list[float], q: list[float]) -> None:
    """Rounded probabilities do not sum to 1, for which the plain formula would go below 0."""
    found = compare_scores(scores(p[:5], p[5]), scores(q[:5], q[5]))
    assert found.kl[0] >= 0
    assert found.reverse_kl[0] >= 0


@settings(deadline=None)
@given(p=DISTRIBUTIONS)
def test_a_model_does_not_diverge_from_itself(p: list[float]) -> None:
    found = compare_scores(scores(p[:5], p[5]), scores(p[:5], p[5]))
    assert (found.kl, found.reverse_kl, found.same_top1, found.delta_p) == ((0.0,), (0.0,), (True,), (0.0,))


@settings(deadline=None)
@given(p=DISTRIBUTIONS, shift=st.floats(-9e-6, 9e-6))
def test_what_rounding_adds_is_of_second_order(p: list[float], shift: float) -> None:
    """A logarithm that is off by 1e-5 would show as 1e-5 in the plain formula, more than bfloat16 does."""
    moved = [a * math.exp(shift) for a in p]
    assert compare_scores(scores(p[:5], p[5]), scores(moved[:5], moved[5])).kl[0] < 1e-9


def test_what_a_model_excludes_gives_a_finite_divergence() -> None:
    """JSON has no infinity."""
    found = compare_scores(scores([0.5, 0.5], 0.0), scores([1.0, 0.0], 0.0))
    assert 40 < found.kl[0] < 50
    assert found.reverse_kl[0] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize(
    ("value", "kept"),
    [(-0.693147, -0.69315), (-1e-9, 0.0), (1e-9, 0.0), (-math.inf, -100.0), (-250.0, -100.0)],
)
def test_a_log_probability_is_kept_rounded_and_finite(value: float, kept: float) -> None:
    assert repr(kept_log_prob(value)) == repr(kept)


@settings(deadline=None)
@given(value=st.floats(-120, 0))
def test_what_is_kept_stays_as_it_is(value: float) -> None:
    once = kept_log_prob(value)
    assert kept_log_prob(once) == once == json.loads(json.dumps(once))


@pytest.mark.parametrize(
    "damage",
    [
        {"choices": ()},
        {"top_ids": ((0,),)},
        {"top_ids": ((),), "top_log_probs": ((),)},
        {"tail_log_probs": (-1.0, -1.0)},
    ],
    ids=", ".join,
)
def test_tokens_without_their_share_are_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"the scores of t/0 have lists of different lengths: measure them again\."):
        replace(scores([0.7, 0.2], 0.1), **damage).check()


@pytest.mark.parametrize("change", [{"tokens_sha256": "1" * 64}, {"top_ids": ((1, 0),)}], ids=["texts", "tokens"])
def test_scores_of_something_else_are_not_compared(change: dict[str, Any]) -> None:
    baseline = scores([0.7, 0.2], 0.1)
    with pytest.raises(DataError, match="the scores of t/0 are of other tokens than the baseline's"):
        compare_scores(baseline, replace(baseline, **change))


def test_a_digest_tells_tokens_and_borders_apart() -> None:
    texts = [([1, 2, 3], 1), ([1, 2, 3], 2), ([12, 3], 1), ([1, 23], 1)]
    assert len({digest(ids, n_prompt) for ids, n_prompt in texts}) == 4
    assert digest((1, 2, 3), 1) == digest([1, 2, 3], 1)


@settings(deadline=None)
@given(p=DISTRIBUTIONS, q=DISTRIBUTIONS, kept=st.sets(st.integers(0, 3)))
def test_tokens_that_a_server_has_not_listed_join_the_tail_of_both(
    p: list[float], q: list[float], kept: set[int]
) -> None:
    """As if the baseline had not kept them either; their probability is told."""
    ids = tuple(sorted(kept))
    baseline = scores(p[:4], sum(p[4:]))
    candidate = replace(
        scores([q[one] for one in ids], 1 - sum(q[one] for one in ids)), top_ids=(ids,), tokens_sha256="0" * 64
    )
    smaller = replace(scores([p[one] for one in ids], 1 - sum(p[one] for one in ids)), top_ids=(ids,))

    found = compare_scores(baseline, candidate)
    assert found.kl == pytest.approx(compare_scores(smaller, candidate).kl, abs=1e-4)
    assert found.unlisted == pytest.approx(sum(p[:4]) - sum(p[one] for one in ids), abs=1e-4)
    assert compare_scores(baseline, scores(q[:4], sum(q[4:]))).unlisted == 0
