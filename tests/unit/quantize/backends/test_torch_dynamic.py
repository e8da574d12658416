"""torch's own dynamic quantization is applied as the study applied it, and counted."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.measure.footprint import measure_footprint
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.backends import torch_dynamic
from pytest_qeval.quantize.backends.torch_dynamic import TORCH_DYNAMIC
from pytest_qeval.quantize.recipe import Recipe

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
        attention_bias=True,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).to(dtype).eval()


def quantize(model: Any, recipe: Recipe) -> Any:
    """Apply the recipe, which shows no texts."""
    return quantize_(model, recipe, show_texts=lambda: pytest.fail("texts are shown"))


@pytest.fixture
def recipe() -> Recipe:
    """Return the one recipe there is."""
    return TORCH_DYNAMIC.recipe("quantize_dynamic")


def test_the_quantized_model_stays_close(recipe: Recipe) -> None:
    model = make_llama()
    with torch.inference_mode():
        expected = model(TOKENS).logits
        quantize(model, recipe)
        actual = model(TOKENS).logits
    assert 0 < float((actual - expected).norm() / expected.norm()) < 0.1


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


def test_a_tied_head_is_kept(recipe: Recipe) -> None:
    model = make_llama(tied=True)
    quantize(model, recipe)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_layer_with_two_names_is_replaced_at_both(recipe: Recipe) -> None:
    shared = nn.Linear(8, 8)
    model: Any = nn.Sequential(nn.Sequential(shared), shared)
    before = measure_footprint(model)
    result = quantize(model, recipe)
    assert model[1] is model[0][0]
    assert type(model[1]) is not nn.Linear
    assert len(result.layers) == 1
    assert measure_footprint(model).parameters == before.parameters


def test_the_footprint_counts_packed_weights_and_biases(recipe: Recipe) -> None:
    model = make_llama()
    before = measure_footprint(model)
    result = quantize(model, recipe)
    after = measure_footprint(model)
    assert after.parameters == before.parameters
    assert after.model_bytes == before.model_bytes - result.bytes_before + result.bytes_after


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


def test_layers_of_gpt_2_are_kept_and_recorded(recipe: Recipe) -> None:
    """Their weight lies the other way round."""
    model = nn.Sequential(Conv1D(64, 32), nn.Linear(64, 64))
    first, second = quantize(model, recipe).layers
    assert type(model[0]) is Conv1D
    assert (first.kept, first.shape, first.bytes_after) == (True, (64, 32), 4 * 64 * 32)
    assert not second.kept


def test_a_model_of_other_layers_is_refused_with_what_it_has(recipe: Recipe) -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=20, n_positions=8))
    with pytest.raises(RecipeError, match=r"GPT2LMHeadModel has none that it does not keep .*4 Conv1D"):
        quantize(model, recipe)


def test_an_unknown_config_is_refused_with_a_guess() -> None:
    with pytest.raises(
        RecipeError, match=r"^torch has no quantization 'int8' .* Did you mean 'torch:quantize_dynamic'"
    ):
        TORCH_DYNAMIC.recipe("int8")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_dynamic, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"needs the package 'torch': .*pytest-qeval\[transformers\]"):
        TORCH_DYNAMIC.recipe("quantize_dynamic")


def test_a_recipe_is_checked_without_importing_torch() -> None:
    code = (
        "import sys; from pytest_qeval.quantize.backends.torch_dynamic import TORCH_DYNAMIC; "
        "TORCH_DYNAMIC.recipe('quantize_dynamic'); "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
