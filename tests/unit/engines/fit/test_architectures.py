"""Formulas of architectures: published sizes, and what transformers builds from the same config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_qeval.engines.fit.architectures import tensors_by_formula
from pytest_qeval.engines.fit.cache_layout import cache_layout

LLAMA_2_7B: Mapping[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
}
LLAMA_3_8B: Mapping[str, Any] = {
    **LLAMA_2_7B,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
QWEN_05B: Mapping[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
CODEGEN_6B: Mapping[str, Any] = {
    "model_type": "codegen",
    "n_embd": 4096,
    "n_layer": 33,
    "n_head": 16,
    "n_inner": None,
    "vocab_size": 51200,
    "n_positions": 2048,
}
KIB = 1024


@pytest.mark.parametrize(
    ("config", "parameters", "token_bytes"),
    [
        (LLAMA_2_7B, 6_738_415_616, 512 * KIB),
        (LLAMA_3_8B, 8_030_261_248, 128 * KIB),
        (QWEN_05B, 494_032_768, 12 * KIB),
        (CODEGEN_6B, 7_064_213_504, 528 * KIB),
    ],
    ids=["Llama-2-7B", "Llama-3-8B", "Qwen2.5-0.5B", "CodeGen-6B"],
)
def test_sizes_are_the_published_ones(config: Mapping[str, Any], parameters: int, token_bytes: int) -> None:
    """Parameters as on the hub, and bytes of a token's keys and values in half precision."""
    tensors = tensors_by_formula(config, tied=bool(config.get("tie_word_embeddings")))
    assert tensors is not None
    assert sum(tensor.elements for tensor in tensors) == parameters
    assert cache_layout(config, dtype="float16", itemsize=2).token_bytes == token_bytes


SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 50,
}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama", **SMALL},
        {"model_type": "llama", **SMALL, "attention_bias": True, "mlp_bias": True},
        {"model_type": "mistral", **SMALL},
        {"model_type": "qwen2", **SMALL},
        {"model_type": "qwen3", **SMALL, "head_dim": 32},
        {"model_type": "qwen3", **SMALL, "head_dim": 16, "attention_bias": True},
        {"model_type": "starcoder2", **SMALL},
        {"model_type": "starcoder2", **SMALL, "use_bias": False},
        {"model_type": "codegen", "n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "vocab_size": 50},
    ],
    ids=lambda config: f"{config['model_type']}-{len(config)}",
)
def test_a_formula_gives_what_transformers_builds(config: Mapping[str, Any], *, tied: bool) -> None:
    """The same parameters, of the same kinds, by the same names."""
    from pytest_qeval.engines.fit.meta_device import build  # noqa: PLC0415 - imports torch

    if tied and config["model_type"] == "codegen":
        pytest.skip("CodeGen's output layer has a bias, and is tied by nobody")
    _, built, built_tied = build("a model", {**config, "tie_word_embeddings": tied})
    tensors = tensors_by_formula(config, tied=tied)
    assert tensors is not None
    assert built_tied == tied
    assert {one.name: one[1:3] for one in tensors} == {one.name: one[1:3] for one in built}


def test_what_no_formula_knows_is_left_to_transformers() -> None:
    """An architecture, and a config that leaves out what its class has a default for."""
    assert tensors_by_formula({**LLAMA_2_7B, "model_type": "olmo"}, tied=False) is None
    assert tensors_by_formula({"model_type": "llama", "hidden_size": 64}, tied=False) is None
