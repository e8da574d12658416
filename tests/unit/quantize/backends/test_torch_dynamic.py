"""torch's own dynamic quantization is applied as the study applied it, and counted."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.backends.torch_dynamic import TORCH_DYNAMIC
from pytest_qeval.quantize.recipe import Recipe
from tests.unit.quantize.models import TOKENS, make_llama


def quantize(model: Any, recipe: Recipe) -> Any:
    """Apply the recipe, which shows no texts."""
    return quantize_(model, recipe, show_texts=lambda: pytest.fail("texts are shown"))


@pytest.fixture
def recipe() -> Recipe:
    """Return the one recipe there is."""
    return TORCH_DYNAMIC.recipe("quantize_dynamic")


def test_it_is_what_torch_does_to_all_linear_layers(recipe: Recipe) -> None:
    ours, theirs = make_llama(), make_llama()
    quantize(ours, recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_dynamic = torch.ao.quantization.quantize_dynamic
        quantize_dynamic(theirs, {nn.Linear}, dtype=torch.qint8, inplace=True)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        assert torch.equal(ours(TOKENS).logits, theirs(TOKENS).logits)


def test_every_linear_layer_is_replaced_and_recorded(recipe: Recipe) -> None:
    model = make_llama()
    names = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    result = quantize(model, recipe)
    assert {type(model.get_submodule(name)).__module__ for name in names} == {
        "torch.ao.nn.quantized.dynamic.modules.linear"
    }
    assert [layer.name for layer in result.layers] == names
    assert (result.execution, result.quantized_layers, result.notes) == ("native", 15, ())
    first = result.layers[0]
    assert (first.shape, first.bits, first.granularity) == ((64, 64), 8, "per_tensor")
    assert (first.bytes_before, first.bytes_after) == (4 * 64 * 64, 64 * 64 + 4)


def test_patterns_keep_layers(recipe: Recipe) -> None:
    model = make_llama()
    result = quantize(model, replace(recipe, kept=("lm_head", "down_proj")))
    kept = [layer for layer in result.layers if layer.kept]
    assert [layer.name for layer in kept] == [*(f"model.layers.{i}.mlp.down_proj" for i in (0, 1)), "lm_head"]
    assert {type(model.get_submodule(layer.name)) for layer in kept} == {nn.Linear}
    assert {(layer.bits, layer.execution) for layer in kept} == {(32, "full precision")}


def test_onednn_holds_weights_twice(recipe: Recipe) -> None:
    if "onednn" not in torch.backends.quantized.supported_engines:
        pytest.skip("this torch has no onednn engine")
    engine = torch.backends.quantized.engine
    try:
        torch.backends.quantized.engine = "onednn"
        result = quantize(make_llama(), recipe)
    finally:
        torch.backends.quantized.engine = engine
    assert result.layers[0].bytes_after == 2 * 64 * 64 + 4


def test_torchs_announcements_are_not_passed_on(recipe: Recipe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize(make_llama(), recipe)


def test_other_types_than_float32_are_refused(recipe: Recipe) -> None:
    model = make_llama(dtype=torch.bfloat16)
    with pytest.raises(RecipeError) as refusal:
        quantize(model, recipe)
    assert str(refusal.value) == (
        "recipe 'torch:quantize_dynamic' needs a model in float32, and model.layers.0.self_attn.q_proj is in bfloat16."
    )
    assert recipe.dtype == "float32"


def test_a_torch_without_it_is_refused(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.ao.quantization", None)
    with pytest.raises(
        RecipeError, match=r"has no torch\.ao\.quantization\.quantize_dynamic any more; torch 2\.13 has"
    ):
        quantize(make_llama(), recipe)


def test_an_unknown_config_is_refused_with_a_guess() -> None:
    with pytest.raises(
        RecipeError, match=r"^torch has no quantization 'int8' .* Did you mean 'torch:quantize_dynamic'"
    ):
        TORCH_DYNAMIC.recipe("int8")
