"""Predicted bytes are those of the model that a recipe makes, layer for layer."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pytest_qeval.engines.fit.meta_device import build
from pytest_qeval.engines.fit.shapes import ModelShape, ModelTensor
from pytest_qeval.engines.fit.weights import layer_bytes, model_bytes
from pytest_qeval.quantize import footprint
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.kernels.int8_product import onednn_is_exact
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.recipe import LayerRule, WeightScheme

CONFIG = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "attention_bias": True,
    "tie_word_embeddings": False,
}
BUFFERS = 1024
"""Bytes of rotary frequencies, which no checkpoint holds."""


def shape(dtype: str) -> ModelShape:
    _, tensors, tied = build("a model", CONFIG)
    return ModelShape(name="a model", origin="config.json", config=CONFIG, tensors=tensors, dtype=dtype, tied=tied)


@pytest.mark.skipif(not onednn_is_exact(), reason="int8 is packed in another way without VNNI")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize(
    "scheme", ["auto", "int8", "int4", "w8a16", "w4a16-g32", "w3a16-g64", "w2a16", "w8a8-tensor", "w6a8"]
)
def test_the_prediction_is_the_models_size(scheme: str, dtype: str) -> None:
    """Of the integers, the scales and the padding of every kernel, and of the layers that are kept."""
    recipe = find_recipe(scheme)
    torch.manual_seed(0)
    config = {key: value for key, value in CONFIG.items() if key != "model_type"}
    model = LlamaForCausalLM(LlamaConfig(**config)).to(getattr(torch, dtype)).eval()
    quantization = quantize_(model, recipe)
    expected = footprint.model_bytes(model) - quantization.simulated_savings_bytes
    found = model_bytes(shape(dtype), recipe)

    assert found.parts.total <= expected <= found.parts.total + BUFFERS
    assert found.resident <= footprint.model_bytes(model) + 300 * 128 * 4


def test_layers_that_match_stay_as_they_are() -> None:
    """By the same patterns as in `quantize.layers`; the output layer counts with the embeddings."""
    parts = model_bytes(shape("bfloat16"), find_recipe("int8")).parts
    assert parts.kept == 0
    assert parts.embeddings == 2 * 300 * 128 * 2


def test_a_weight_without_a_kernel_is_held_in_floating_point() -> None:
    """Its packed size is the scheme's all the same."""
    rule = LayerRule(pattern="*", weights=WeightScheme(bits=3, granularity="per_group", group_size=64))
    found = layer_bytes((64, 128), rule, "bfloat16")
    assert (found.integers, found.scales, found.resident) == (64 * 128 * 3 // 8, 64 * 2 * 2, 64 * 128 * 2)


def test_integers_of_another_program_stay_as_they_are() -> None:
    tensors = (
        ModelTensor("l.qweight", (8, 4), "other", stored_bytes=128, floating=False),
        ModelTensor("l.scales", (4,), "other", stored_bytes=8),
        ModelTensor("model.embed_tokens", (10, 4), "embedding", stored_bytes=80),
    )
    stored = ModelShape(name="m", origin="", config={}, tensors=tensors, dtype="float16", stored="gptq")
    parts = model_bytes(stored, find_recipe("as-is")).parts
    assert (parts.quantized, parts.scales, parts.embeddings) == (128, 8, 80)
