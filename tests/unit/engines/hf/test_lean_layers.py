"""Lean layers give the bits of the layers that they replace, and replace no others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig, Qwen3Config

from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.forward import CausalBatchModel
from pytest_qeval.engines.hf.lean_layers import use_lean_layers
from pytest_qeval.engines.hf.trial import feed, token_ids

SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def prepared(model: Any, dtype: torch.dtype, *, lean: bool) -> Any:
    """Return a copy of a model as the engine uses it, with its own layers or with lean ones."""
    model = copy.deepcopy(model).to(dtype)
    model.set_attn_implementation("sdpa")
    use_grouped_attention(model)
    if lean:
        use_lean_layers(model)
    return model


def is_lean(model: Any) -> bool:
    """Whether the layers have been replaced."""
    return all("forward" in vars(layer) for layer in model.model.layers)


@torch.inference_mode()
def logits(model: Any, lengths: Sequence[int] = (70, 9)) -> list[torch.Tensor]:
    """Return logits of a prefill, of a step, and of a step with drafts."""
    sequences = [token_ids(model, length) for length in lengths]
    return feed(CausalBatchModel(model, rows=2), sequences, steps=(1, 4))


@pytest.fixture
def make(make_model: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a model of a family; one whose queries and keys are normalized, too."""

    def make(family: str) -> Any:
        if family != "qwen3":
            return make_model(family)
        torch.manual_seed(0)
        config: PreTrainedConfig = Qwen3Config(**SIZES, head_dim=16)
        return AutoModelForCausalLM.from_config(config).eval()

    return make


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_lean_layers_give_the_same_bits(family: str, dtype: torch.dtype, make: Callable[[str], Any]) -> None:
    own, lean = (prepared(make(family), dtype, lean=lean) for lean in (False, True))
    assert is_lean(lean)
    assert not is_lean(own)
    assert all(map(torch.equal, logits(own), logits(lean)))


@torch.inference_mode()
def test_lean_layers_serve_a_whole_pass_without_a_cache(make: Callable[[str], Any]) -> None:
    own, lean = (prepared(make("llama"), torch.float32, lean=lean) for lean in (False, True))
    ids = torch.tensor([token_ids(own, 12)])
    outputs = [model(input_ids=ids, use_cache=False, output_hidden_states=True) for model in (own, lean)]
    assert torch.equal(outputs[0].logits, outputs[1].logits)
    assert all(map(torch.equal, outputs[0].hidden_states, outputs[1].hidden_states))


def test_layers_of_other_kinds_stay_as_they_are(make: Callable[[str], Any]) -> None:
    gpt2 = prepared(make("gpt2"), torch.float32, lean=True)
    assert "forward" not in vars(gpt2.transformer.h[0])
    eager = copy.deepcopy(make("llama"))
    eager.set_attn_implementation("eager")
    use_lean_layers(eager)
    assert not is_lean(eager)


@pytest.mark.parametrize("part", ["norm", "activation", "scale"])
def test_a_layer_that_computes_something_else_is_found_out(part: str, make: Callable[[str], Any]) -> None:
    """The parts have the names that are known, and do something else."""
    model = copy.deepcopy(make("llama"))
    model.set_attn_implementation("sdpa")
    use_grouped_attention(model)
    for layer in model.model.layers:
        if part == "norm":  # as Gemma's
            norm = layer.input_layernorm
            norm.forward = lambda x, norm=norm: type(norm).forward(norm, x) * 2
        elif part == "activation":
            layer.mlp.forward = lambda x, mlp=layer.mlp: mlp.down_proj(mlp.act_fn(mlp.gate_proj(x)) + mlp.up_proj(x))
        else:
            attention = layer.self_attn
            attention.forward = lambda *args, attention=attention, **kwargs: (
                type(attention).forward(attention, *args, **kwargs)[0] * 0.5,
                None,
            )
    use_lean_layers(model)
    assert not is_lean(model)
