"""Divergence agrees with its formula and with what is known about it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from pytest_qeval.measure import divergence
from pytest_qeval.measure.divergence import (
    Divergence,
    ScoredText,
    causal_logits,
    compare_logits,
    solution_text,
)

LOGITS = st.lists(st.floats(-30, 30), min_size=4, max_size=4)
TEXT = ScoredText(token_ids=(1, 5, 3, 2, 4), counted=(False, False, True, False, True))
"""Predicted are the tokens after positions 1 and 3."""


def test_a_hand_computed_value() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    result = compare_logits(p, q)
    assert result.total_kl == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-7)
    assert (result.n_same_top1, result.n_tokens) == (0, 1)


@settings(deadline=None)
@given(logits=LOGITS, shift=st.floats(-5, 5))
def test_a_distribution_does_not_diverge_from_itself(logits: list[float], shift: float) -> None:
    p = torch.tensor([logits], dtype=torch.float64)
    result = compare_logits(p, p + shift)
    assert result.total_kl == pytest.approx(0, abs=1e-9)


@settings(deadline=None)
@given(p=LOGITS, q=LOGITS)
def test_divergence_is_not_negative(p: list[float], q: list[float]) -> None:
    assert compare_logits(torch.tensor([p]), torch.tensor([q])).total_kl >= -1e-9


def test_mirrored_distributions_diverge_equally() -> None:
    p = torch.tensor([[2.0, 0.0, -1.0]])
    q = p.flip(-1)
    assert compare_logits(p, q).total_kl == pytest.approx(compare_logits(q, p).total_kl)


def test_excluded_tokens_contribute_nothing() -> None:
    p = torch.tensor([[0.0, 0.0, -torch.inf]])
    assert compare_logits(p, p).total_kl == pytest.approx(0)


def test_rows_are_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    p, q = torch.randn(7, 5), torch.randn(7, 5)
    whole = compare_logits(p, q)
    monkeypatch.setattr(divergence, "_CHUNK_ELEMENTS", 10)
    parts = compare_logits(p, q)
    assert parts.total_kl == pytest.approx(whole.total_kl)
    assert parts.n_same_top1 == whole.n_same_top1


def test_logits_that_are_no_numbers_are_no_number() -> None:
    p = torch.zeros(1, 3)
    assert math.isnan(compare_logits(p, p * torch.nan).total_kl)


def test_predictions_are_made_one_position_before_the_token() -> None:
    assert ScoredText(token_ids=(7, 8, 9, 5), counted=(True, False, True, True)).positions == (1, 2)


def test_only_the_solution_counts() -> None:
    assert solution_text([1, 2, 3], [4, 5]).positions == (2, 3)


def test_every_token_weighs_the_same() -> None:
    p, q = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    result = Divergence.total(compare_logits(p.expand(n, -1), q.expand(n, -1)) for n in (2, 1))
    assert (result.n_tokens, result.same_top1) == (3, 0.0)
    assert result.mean_kl == pytest.approx(compare_logits(p, q).total_kl)


def test_nothing_measured_is_no_number() -> None:
    empty = Divergence.total([])
    assert math.isnan(empty.mean_kl)
    assert math.isnan(empty.same_top1)


def test_a_causal_model_gives_logits_at_the_wanted_positions() -> None:
    config = LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=11
    )
    model = LlamaForCausalLM(config).eval()
    ids = torch.tensor(TEXT.token_ids)
    wanted = causal_logits(model)(TEXT)
    torch.testing.assert_close(wanted, model(ids[None]).logits[0, [1, 3]].detach())


def test_a_model_that_gives_logits_everywhere_is_cut_to_the_wanted_positions() -> None:
    class Model:
        device = "cpu"

        def __call__(self, ids: torch.Tensor, **_: Any) -> Any:
            return type("Output", (), {"logits": torch.arange(ids.numel())[None, :, None].float()})

    wanted = causal_logits(Model())(TEXT)
    assert wanted.tolist() == [[1.0], [3.0]]
