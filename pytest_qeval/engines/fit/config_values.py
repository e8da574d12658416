"""Look values up in a config.json, whatever the architecture calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "width": ("hidden_size", "n_embd", "d_model"),
    "inner": ("intermediate_size", "n_inner", "d_ff", "ffn_dim", "encoder_ffn_dim"),
    "vocabulary": ("vocab_size",),
    "positions": ("max_position_embeddings", "n_positions", "n_ctx"),
    "decoder_layers": ("num_decoder_layers", "decoder_layers"),
    "decoder_heads": ("decoder_attention_heads",),
}


def find_value(config: Mapping[str, Any], what: str) -> int:
    """Return a size of a model: layers, heads, kv_heads, width, inner, vocabulary, positions, and the decoder's own.

    Raises:
        KeyError: with the usual name, when the config has none.
    """
    if what == "kv_heads":
        return _key_value_heads(config)
    found = next((config[name] for name in _NAMES[what] if isinstance(config.get(name), int)), None)
    if found is None:
        raise KeyError(_NAMES[what][0])
    return int(found)


def find_or_none(config: Mapping[str, Any], what: str) -> int | None:
    """Return a size of a model, as `find_value`; None where the config has none."""
    try:
        return find_value(config, what)
    except KeyError:
        return None


def head_size(config: Mapping[str, Any]) -> int:
    """Return the width of one head: stated, or the model's by the number of heads."""
    stated = config.get("head_dim") or config.get("d_kv")
    return int(stated) if stated else find_value(config, "width") // find_value(config, "heads")


def _key_value_heads(config: Mapping[str, Any]) -> int:
    if config.get("multi_query") and "num_key_value_heads" not in config:  # GPT-BigCode
        return 1
    return int(config.get("num_key_value_heads") or find_value(config, "heads"))
