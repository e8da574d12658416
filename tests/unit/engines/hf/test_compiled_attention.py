"""Steps in bfloat16 attend by the compiled attention, and what it is not made for is left to torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pytest_qeval.engines.hf.attention import _grouped, in_step, use_grouped_attention
from pytest_qeval.engines.hf.cache import Prefilled, RowCache
from pytest_qeval.engines.hf.forward import CausalBatchModel
from pytest_qeval.engines.hf.trial import feed, token_ids
from pytest_qeval.quantize.kernels.compiled.attention import StepAttention, step_attention
from tests.unit.quantize.loops import HAS_PRODUCTS
from tests.unit.quantize.models import make_llama

pytestmark = pytest.mark.skipif(not HAS_PRODUCTS, reason="no gcc, or no AVX-512 with bfloat16")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the calls of the compiled attention by their queries."""
    assert step_attention()  # which is tried now, and not counted
    seen: list[int] = []
    real = StepAttention.attend

    def attend(self: StepAttention, query: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        seen.append(query.shape[2])
        return real(self, query, *args, **options)

    monkeypatch.setattr(StepAttention, "attend", attend)
    return seen


def logits_of(model: Any) -> list[torch.Tensor]:
    sequences = [token_ids(model, length) for length in (40, 11, 25)]
    with torch.inference_mode():
        return feed(CausalBatchModel(model, rows=3), sequences, steps=(1, 3), shared=(0, 0, 0))


def make(heads: int) -> Any:
    model = make_llama(dtype=torch.bfloat16, hidden_size=128, num_attention_heads=heads, num_key_value_heads=2)
    model.set_attn_implementation("sdpa")
    use_grouped_attention(model)
    return model


def test_every_layer_of_a_step_attends_so(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(heads=4)
    found = logits_of(model)
    assert calls == [1, 1, 3, 3]  # two layers, two steps; none of the prefill
    monkeypatch.setattr("pytest_qeval.engines.hf.attention.step_attention", lambda: None)
    for one, other in zip(found, logits_of(model), strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.05)


def test_heads_of_another_size_are_left_to_torch(calls: list[int]) -> None:
    assert len(logits_of(make(heads=8))) == 3
    assert not calls


def test_another_type_is_left_to_torch(calls: list[int]) -> None:
    assert len(logits_of(copy.deepcopy(make(heads=4)).float())) == 3
    assert not calls


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"s_aux": torch.zeros(4)},
        lambda given: {"attention_mask": given["attention_mask"].clone()},
        lambda given: {"query": given["query"][:, :, :1], "attention_mask": given["attention_mask"][:, :, :1]},
    ],
    ids=["sinks", "another mask", "fewer queries"],
)
def test_another_attention_is_left_to_torch(calls: list[int], change: Callable[[dict[str, Any]], Any]) -> None:
    module: Any = torch.nn.Module()
    module.num_key_value_groups, module.is_causal = 2, True
    query, key = torch.randn(2, 4, 3, 32).bfloat16(), torch.randn(2, 2, 64, 32).bfloat16()
    mask = torch.zeros(2, 1, 3, 64).bfloat16()
    given: dict[str, Any] = {"query": query, "key": key, "value": key, "attention_mask": mask, "scaling": None}
    with in_step(torch.tensor([5, 9]), mask):
        _grouped(module, **given)
        assert calls == [3]
        _grouped(module, **{**given, **change(given)})
        assert calls == [3]


def test_keys_without_room_are_refused() -> None:
    """By torch: the compiled functions would write behind the end."""
    cache = RowCache(layers=1, rows=2, device=torch.device("cpu"), dtype=torch.bfloat16)
    keys = torch.zeros(1, 64, 32, dtype=torch.bfloat16)
    prompt = Prefilled(keys=(keys,), values=(keys,), length=64, logits=torch.zeros(1))
    cache.place(0, prompt, capacity=64)
    cache.place(1, prompt, capacity=64)
    cache.begin_step([64, 64], queries=1)
    new = torch.zeros(2, 1, 1, 32, dtype=torch.bfloat16)
    with pytest.raises((IndexError, RuntimeError)):
        cache.layers[0].update(new, new)
