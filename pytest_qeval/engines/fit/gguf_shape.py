"""Shapes of a GGUF file, whose tensors and settings have names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_qeval.engines.fit.shapes import ModelShape, ModelTensor, classify, is_tied
from pytest_qeval.quantize.checkpoints.weight_files import read_gguf

_LEAVES = {
    "token_embd": "embed_tokens",
    "position_embd": "embed_positions",
    "output": "lm_head",
    "attn_q": "q_proj",
    "attn_k": "k_proj",
    "attn_v": "v_proj",
    "attn_output": "o_proj",
    "ffn_gate": "gate_proj",
    "ffn_up": "up_proj",
    "ffn_down": "down_proj",
}
"""Names of transformers, which recipes match, by those of GGUF."""
_KEYS = {
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "sliding_window": "attention.sliding_window",
}


def gguf_shape(file: Path, name: str) -> ModelShape:
    """Read the shapes of a GGUF file, which is unpacked to floating point to be evaluated.

    Raises:
        ModelSourceError: when it is not whole.
        MissingPackageError: without the package gguf.
    """
    reader = read_gguf(file)
    tensors = tuple(_tensor(one) for one in reader.tensors)
    config = _config(reader)
    return ModelShape(
        name=name,
        origin="GGUF file",
        config=config,
        tensors=tensors,
        dtype="float32",
        tied=is_tied({}, (f"{one.name}.weight" for one in tensors)),
        stored="gguf",
        files_bytes=file.stat().st_size,
    )


def _tensor(one: Any) -> ModelTensor:
    stem, _, kind = one.name.rpartition(".")
    head, _, leaf = stem.rpartition(".")
    name = ".".join(part for part in (head, _LEAVES.get(leaf, leaf), kind) if part)
    found = classify(name, tuple(int(size) for size in reversed(one.shape)))
    return found._replace(stored_bytes=int(one.n_bytes))


def _config(reader: Any) -> Mapping[str, Any]:
    architecture = reader.get_field("general.architecture")
    prefix = architecture.contents() if architecture else ""
    fields = {name: reader.get_field(f"{prefix}.{key}") for name, key in _KEYS.items()}
    values = {name: field.contents() for name, field in fields.items() if field}
    return {"model_type": prefix, **{name: value for name, value in values.items() if isinstance(value, int)}}
