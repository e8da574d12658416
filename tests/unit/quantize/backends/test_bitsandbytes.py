"""bitsandbytes' layers take the place of the model's own, except where a recipe keeps them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.measure.footprint import measure_footprint
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.backends import bitsandbytes
from pytest_qeval.quantize.backends.bitsandbytes import BITSANDBYTES

pytest.importorskip("bitsandbytes", reason="the bitsandbytes extra is not installed")

TOKENS = torch.arange(24).reshape(2, 12)


def make_llama(*, tied: bool = False, dtype: torch.dtype = torch.float32) -> Any:
    """Make a random Llama of two layers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=128,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).to(dtype).eval()


def quantize(model: Any, config: str) -> Any:
    """Apply a recipe, which shows no texts."""
    return quantize_(model, BITSANDBYTES.recipe(config), show_texts=lambda: pytest.fail("texts are shown"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("config", "error"), [("int8", 0.05), ("nf4", 0.3), ("fp4", 0.3)])
def test_the_quantized_model_stays_close(config: str, error: float, dtype: torch.dtype) -> None:
    model = make_llama(dtype=dtype)
    with torch.inference_mode():
        expected = model(TOKENS).logits
        quantize(model, config)
        actual = model(TOKENS).logits
    assert actual.dtype == dtype
    assert 0 < float((actual - expected).float().norm() / expected.float().norm()) < error


def test_biases_are_kept() -> None:
    model = nn.Sequential(nn.Linear(64, 32)).eval()
    with torch.inference_mode():
        expected = model(torch.zeros(1, 64))
        quantize(model, "nf4")
        assert torch.equal(model(torch.zeros(1, 64)), expected)


@pytest.mark.parametrize(("config", "kind"), [("int8", "Linear8bitLt"), ("nf4", "Linear4bit"), ("fp4", "Linear4bit")])
def test_every_linear_layer_but_the_head_is_replaced(config: str, kind: str) -> None:
    model = make_llama()
    result = quantize(model, config)
    kinds = {name: type(module) for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert kinds.pop("lm_head") is nn.Linear
    assert {kind.__name__ for kind in kinds.values()} == {kind}
    assert [layer.name for layer in result.layers] == [*kinds, "lm_head"]
    assert [layer.name for layer in result.layers if layer.kept] == ["lm_head"]


@pytest.mark.parametrize(
    ("config", "bits", "granularity", "size"),
    [
        pytest.param("int8", 8, "per_channel", 192 * (64 + 4), id="int8 with a scale per row"),
        pytest.param("nf4", 4, "per_group(64)", 192 * (32 + 4) + 16 * 4, id="nf4 with a scale per block and a table"),
    ],
)
def test_a_record_says_what_is_held(config: str, bits: int, granularity: str, size: int) -> None:
    result = quantize(make_llama(), config)
    layer = next(layer for layer in result.layers if layer.name == "model.layers.1.mlp.up_proj")
    assert (layer.shape, layer.bits, layer.granularity) == ((192, 64), bits, granularity)
    assert (layer.bytes_before, layer.bytes_after) == (4 * 192 * 64, size)
    assert result.execution == "native"
    assert len(result.notes) == 1


@pytest.mark.parametrize("config", ["int8", "nf4", "fp4"])
def test_the_footprint_counts_what_is_held(config: str) -> None:
    """Before and after the first use, which moves things inside the layers."""
    model = make_llama()
    before = measure_footprint(model)
    result = quantize(model, config)
    after = measure_footprint(model)
    with torch.inference_mode():
        model(TOKENS)
    assert measure_footprint(model) == after
    assert after.parameters == before.parameters
    assert after.model_bytes == before.model_bytes - result.bytes_before + result.bytes_after


def test_a_tied_head_is_kept() -> None:
    model = make_llama(tied=True)
    quantize(model, "nf4")
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_layer_with_two_names_is_replaced_at_both() -> None:
    shared = nn.Linear(64, 64)
    model: Any = nn.Sequential(nn.Sequential(shared), shared)
    result = quantize(model, "nf4")
    assert model[1] is model[0][0]
    assert type(model[1]) is not nn.Linear
    assert len(result.layers) == 1


def test_a_product_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    model = make_llama()
    quantize(model, "int8")
    caplog.clear()
    with torch.inference_mode():
        model(TOKENS)
    assert caplog.records == []


def test_layers_of_gpt_2_are_kept_and_recorded() -> None:
    """Their weight lies the other way round."""
    model = nn.Sequential(Conv1D(64, 32), nn.Linear(64, 64))
    first, second = quantize(model, "nf4").layers
    assert type(model[0]) is Conv1D
    assert (first.kept, first.shape, first.bytes_after) == (True, (64, 32), 4 * 64 * 32)
    assert not second.kept


def test_a_model_of_other_layers_is_refused_with_what_it_has() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=20, n_positions=8))
    with pytest.raises(RecipeError, match=r"GPT2LMHeadModel has none that it does not keep .*4 Conv1D"):
        quantize(model, "nf4")


def test_an_unknown_data_type_is_refused_with_a_guess() -> None:
    with pytest.raises(RecipeError) as refusal:
        BITSANDBYTES.recipe("nf5")
    expected = "bitsandbytes has no data type 'nf5'. Did you mean 'bnb:nf4'? Available: nf4, fp4, int8."
    assert str(refusal.value) == expected


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitsandbytes, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"'bnb:nf4' needs .*pytest-qeval\[bitsandbytes\]"):
        BITSANDBYTES.recipe("nf4")


def test_a_recipe_is_checked_without_importing_torch() -> None:
    code = (
        "import sys; from pytest_qeval.quantize.backends.bitsandbytes import BITSANDBYTES; BITSANDBYTES.recipe('nf4'); "
        "sys.exit(bool({'torch', 'bitsandbytes', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
