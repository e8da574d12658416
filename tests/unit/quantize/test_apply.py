"""`quantize_` replaces what it should, and says what it did."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize import apply
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.linear import Int8Linear
from pytest_qeval.quantize.builtin import AUTO, INT8, W2A16
from pytest_qeval.quantize.recipe import ActivationScheme, Recipe, WeightScheme

TOKENS = torch.arange(24).reshape(2, 12)


def make_llama(*, tied: bool = False, dtype: torch.dtype = torch.float32) -> Any:
    """Make a random Llama of two layers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=128,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).to(dtype).eval()


class Pair(nn.Module):
    """Two places for linear layers."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second


@pytest.fixture
def llama() -> Any:
    """Give a random Llama."""
    return make_llama()


def test_every_linear_layer_but_the_head_becomes_int8(llama: Any) -> None:
    result = quantize_(llama, INT8)
    kinds = {name: type(module) for name, module in llama.named_modules() if hasattr(module, "in_features")}
    assert kinds.pop("lm_head") is nn.Linear
    assert {kind.__name__ for name, kind in kinds.items() if not name.endswith("siblings")} == {"Int8Linear"}
    assert (result.execution, result.quantized_layers, len(result.layers)) == ("native", 14, 15)
    assert [layer.name for layer in result.layers if layer.kept] == ["lm_head"]


def test_the_share_is_of_all_parameters(llama: Any) -> None:
    total = sum(parameter.numel() for parameter in llama.parameters())
    quantized = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 176)
    result = quantize_(llama, INT8)
    assert result.parameters == total
    assert result.quantized_share == pytest.approx(quantized / total)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_quantized_model_stays_close(dtype: torch.dtype) -> None:
    model = make_llama(dtype=dtype)
    with torch.inference_mode():
        expected = model(TOKENS).logits.float()
        quantize_(model, INT8)
        actual = model(TOKENS).logits.float()
    assert float((actual - expected).norm() / expected.norm()) < 0.05


def test_native_and_simulated_weights_are_the_same(llama: Any) -> None:
    """With activations that int8 represents exactly, both kinds of execution agree."""
    layer = llama.model.layers[0].mlp.down_proj
    native, simulated = Pair(copy.deepcopy(layer), nn.Identity()), Pair(copy.deepcopy(layer), nn.Identity())
    quantize_(native, INT8)
    quantize_(simulated, Recipe(name="w8a16", summary="", weights=WeightScheme(bits=8)))
    x = torch.randint(-127, 128, (5, 176)).float()
    x[:, 0] = 127
    torch.testing.assert_close(native.first(x), simulated.first(x), rtol=1e-4, atol=1e-4)


def test_simulated_layers_stay_float_and_report_packed_bytes(llama: Any) -> None:
    before = llama.model.layers[0].mlp.up_proj.weight.detach().clone()
    result = quantize_(llama, W2A16)
    layer = next(layer for layer in result.layers if layer.name.endswith("layers.0.mlp.up_proj"))
    assert result.execution == "simulated"
    assert (layer.bits, layer.bytes_after) == (2, 176 * 64 // 4 + 4 * 176)
    assert type(llama.model.layers[0].mlp.up_proj) is nn.Linear
    assert not torch.equal(llama.model.layers[0].mlp.up_proj.weight, before)


def test_full_precision_changes_nothing(llama: Any) -> None:
    before = {name: tensor.clone() for name, tensor in llama.state_dict().items()}
    result = quantize_(llama, AUTO)
    assert (result.execution, result.layers, result.quantized_share) == ("full precision", (), 0.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in llama.state_dict().items())


def test_a_tied_head_is_kept_whatever_the_recipe_says() -> None:
    model = make_llama(tied=True)
    quantize_(model, Recipe(name="all", summary="", weights=WeightScheme(bits=2), kept=()))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert len(model.lm_head.weight[0].unique()) > 3


def test_patterns_keep_layers(llama: Any) -> None:
    recipe = Recipe(
        name="r", summary="", weights=INT8.weights, activations=INT8.activations, kept=("model.layers.0.*", "down_proj")
    )
    names = {layer.name for layer in quantize_(llama, recipe).layers if layer.kept}
    assert names == {
        *(f"model.layers.0.self_attn.{leaf}_proj" for leaf in "qkvo"),
        *(f"model.layers.0.mlp.{leaf}_proj" for leaf in ("gate", "up", "down")),
        "model.layers.1.mlp.down_proj",
    }


def test_a_layer_with_two_parents_is_replaced_at_both() -> None:
    shared = nn.Linear(4, 3)
    model = Pair(Pair(shared, nn.Linear(4, 4)), shared)
    result = quantize_(model, INT8)
    assert isinstance(model.second, Int8Linear)
    assert model.second is model.first.first
    assert [layer.name for layer in result.layers] == ["first.first", "first.second"]


def test_bytes_are_halved_where_sizes_fit_the_kernel() -> None:
    model = Pair(nn.Linear(896, 1024, dtype=torch.bfloat16), nn.Identity())
    result = quantize_(model, INT8)
    assert result.bytes_before == 2 * 896 * 1024
    assert result.bytes_after <= 0.52 * result.bytes_before
    assert result.saved_bytes == result.bytes_before - result.bytes_after


def test_a_weight_is_freed_before_the_next_group_is_quantized(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory peaks at the model plus the layers that are replaced together."""
    replaced: list[list[weakref.ref[Any]]] = []
    original = apply._replace

    def watched(model: Any, group: Any, scheme: WeightScheme) -> Any:
        assert all(reference() is None for references in replaced for reference in references)
        replaced.append([weakref.ref(model.get_submodule(names[0]).weight) for names in group])
        return original(model, group, scheme)

    monkeypatch.setattr(apply, "_replace", watched)
    quantize_(llama, INT8)
    assert [len(references) for references in replaced] == [3, 1, 2, 1] * 2


def test_a_model_without_linear_layers_is_refused_with_what_it_has() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=20, n_positions=8))
    with pytest.raises(RecipeError, match=r"GPT2LMHeadModel has none that it does not keep .*4 Conv1D"):
        quantize_(model, INT8)


def test_subclasses_of_linear_are_left_alone() -> None:
    model = Pair(nn.MultiheadAttention(8, 2), nn.Linear(8, 8))
    assert [layer.name for layer in quantize_(model, INT8).layers] == ["second"]


def test_a_scheme_that_nothing_computes_is_refused(llama: Any) -> None:
    recipe = Recipe(name="w4a8", summary="", weights=WeightScheme(bits=4), activations=ActivationScheme())
    with pytest.raises(RecipeError, match="nothing here computes W4A8"):
        quantize_(llama, recipe)
    assert type(llama.model.layers[0].mlp.up_proj) is nn.Linear


def test_peak_memory_of_a_cpu_is_unknown(llama: Any) -> None:
    assert quantize_(llama, INT8).peak_bytes is None
