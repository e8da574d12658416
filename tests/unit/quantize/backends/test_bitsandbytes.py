"""bitsandbytes' layers take the place of the model's own, except where a recipe keeps them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.backends.bitsandbytes import BITSANDBYTES
from tests.unit.quantize.models import TOKENS, make_llama

pytest.importorskip("bitsandbytes", reason="the bitsandbytes extra is not installed")


def quantize(model: Any, config: str) -> Any:
    """Apply a recipe, which shows no texts."""
    return quantize_(model, BITSANDBYTES.recipe(config), show_texts=lambda: pytest.fail("texts are shown"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("config", "error"), [("int8", 0.05), ("nf4", 0.3), ("fp4", 0.3)])
def test_the_quantized_model_stays_close(config: str, error: float, dtype: torch.dtype) -> None:
    model = make_llama(dtype=dtype, intermediate_size=192)
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
    result = quantize(make_llama(intermediate_size=192), config)
    layer = next(layer for layer in result.layers if layer.name == "model.layers.1.mlp.up_proj")
    assert (layer.shape, layer.bits, layer.granularity) == ((192, 64), bits, granularity)
    assert (layer.bytes_before, layer.bytes_after) == (4 * 192 * 64, size)
    assert result.execution == "native"
    assert len(result.notes) == 1


def test_a_product_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    model = make_llama()
    quantize(model, "int8")
    caplog.clear()
    with torch.inference_mode():
        model(TOKENS)
    assert caplog.records == []


def test_an_unknown_data_type_is_refused_with_a_guess() -> None:
    with pytest.raises(RecipeError) as refusal:
        BITSANDBYTES.recipe("nf5")
    expected = "bitsandbytes has no data type 'nf5'. Did you mean 'bnb:nf4'? Available: nf4, fp4, int8."
    assert str(refusal.value) == expected
