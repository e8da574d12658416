"""Shapes of the usual architectures by formula, for a config without weights: torch needs seconds to be imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_qeval.engines.fit.config_values import find_value, head_size
from pytest_qeval.engines.fit.shapes import ModelTensor, classify

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def tensors_by_formula(config: Mapping[str, Any], *, tied: bool) -> tuple[ModelTensor, ...] | None:
    """Return every parameter of a model; None for an architecture without a formula, or a config with gaps."""
    formula = _FORMULAS.get(str(config.get("model_type")))
    try:
        found = [classify(name, shape) for name, shape in formula(config)] if formula else None
    except KeyError:
        return None
    return None if found is None else tuple(tensor for tensor in found if not (tied and tensor.is_output))


def _llama(config: Mapping[str, Any], *, attention_bias: bool = False, query_norms: bool = False) -> Shapes:
    """Llama, Mistral, Qwen2 and Qwen3: gated layers, grouped queries, no position embeddings."""
    width, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = head_size(config)
    queries, keys = head * find_value(config, "heads"), head * find_value(config, "kv_heads")
    yield "model.embed_tokens.weight", (vocabulary, width)
    for layer in (f"model.layers.{index}" for index in range(config["num_hidden_layers"])):
        for name, rows in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys)):
            yield from _linear(f"{layer}.self_attn.{name}", rows, width, bias=attention_bias)
        output_bias = bool(config.get("attention_bias")) and config["model_type"] != "qwen2"
        yield from _linear(f"{layer}.self_attn.o_proj", width, queries, bias=output_bias)
        for name in ("q_norm", "k_norm") if query_norms else ():
            yield f"{layer}.self_attn.{name}.weight", (head,)
        for name, rows, columns in (
            ("gate_proj", inner, width),
            ("up_proj", inner, width),
            ("down_proj", width, inner),
        ):
            yield from _linear(f"{layer}.mlp.{name}", rows, columns, bias=bool(config.get("mlp_bias")))
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}.{name}.weight", (width,)
    yield "model.norm.weight", (width,)
    yield "lm_head.weight", (vocabulary, width)


def _codegen(config: Mapping[str, Any]) -> Shapes:
    """CodeGen: attention and MLP side by side, one norm a layer, an output layer with a bias."""
    width, vocabulary = config["n_embd"], config["vocab_size"]
    inner = config.get("n_inner") or 4 * width
    yield "transformer.wte.weight", (vocabulary, width)
    for layer in (f"transformer.h.{index}" for index in range(config["n_layer"])):
        yield from _norm(f"{layer}.ln_1", width)
        yield from _linear(f"{layer}.attn.qkv_proj", 3 * width, width)
        yield from _linear(f"{layer}.attn.out_proj", width, width)
        yield from _linear(f"{layer}.mlp.fc_in", inner, width, bias=True)
        yield from _linear(f"{layer}.mlp.fc_out", width, inner, bias=True)
    yield from _norm("transformer.ln_f", width)
    yield from _linear("lm_head", vocabulary, width, bias=True)


def _starcoder2(config: Mapping[str, Any]) -> Shapes:
    """StarCoder2: grouped queries, plain layers, biases everywhere."""
    width, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head, bias = head_size(config), bool(config.get("use_bias", True))
    queries, keys = head * find_value(config, "heads"), head * find_value(config, "kv_heads")
    yield "model.embed_tokens.weight", (vocabulary, width)
    for layer in (f"model.layers.{index}" for index in range(config["num_hidden_layers"])):
        for name, rows in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys)):
            yield from _linear(f"{layer}.self_attn.{name}", rows, width, bias=bias)
        yield from _linear(f"{layer}.self_attn.o_proj", width, queries, bias=bias)
        yield from _linear(f"{layer}.mlp.c_fc", inner, width, bias=bias)
        yield from _linear(f"{layer}.mlp.c_proj", width, inner, bias=bias)
        yield from _norm(f"{layer}.input_layernorm", width)
        yield from _norm(f"{layer}.post_attention_layernorm", width)
    yield from _norm("model.norm", width)
    yield "lm_head.weight", (vocabulary, width)


def _linear(name: str, rows: int, columns: int, *, bias: bool = False) -> Shapes:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


_FORMULAS: Mapping[str, Callable[[Mapping[str, Any]], Shapes]] = {
    "llama": lambda config: _llama(config, attention_bias=bool(config.get("attention_bias"))),
    "mistral": _llama,
    "qwen2": lambda config: _llama(config, attention_bias=True),
    "qwen3": lambda config: _llama(config, attention_bias=bool(config.get("attention_bias")), query_norms=True),
    "codegen": _codegen,
    "starcoder2": _starcoder2,
}
"""By `model_type`."""
