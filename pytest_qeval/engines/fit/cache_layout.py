"""How large the key/value cache of a model is, by formula.

A token takes layers × key/value heads × head size × 2 × bytes per value: 0.5 MiB in Llama-2-7B, and 128 KiB in
Llama-3-8B, whose 32 query heads share 8 key/value heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_qeval.engines.fit.config_values import find_or_none, find_value, head_size

_DRAFTS = 15
"""Columns for draft tokens behind a row's end (`engines.hf.drafts`)."""
_LEAST_ROWS = 2
"""Rows that the continuous batch has at least (`engines.hf.cache`)."""
_COLUMN_STEP, _OTHER_COLUMN_STEP = 64, 512
"""Columns are a multiple of it: of the first in bfloat16, of the second in other types (`engines.hf.cache`)."""


class CacheGrid(Protocol):
    """How a quantized cache packs what a head writes for one token."""

    def vector_bytes(self, size: int) -> int:
        """Return the bytes of the keys, or the values, of `size` channels: payload and scales."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLayout:
    """Bytes of keys and values, all layers together."""

    full_bytes: int
    """Of one token in the layers that keep all tokens."""
    windows: Sequence[tuple[int, int]] = ()
    """Tokens that sliding layers keep at most, and bytes of one token in the layers with this window."""
    encoder_bytes: int = 0
    """Of one token of the prompt in the layers that attend to an encoder."""
    column_step: int = 1

    @property
    def token_bytes(self) -> int:
        """Bytes of one token while no window is full."""
        return self.full_bytes + sum(size for _, size in self.windows) + self.encoder_bytes

    def bytes(self, *, rows: int, tokens: int) -> int:
        """Return what a batch takes whose rows are `tokens` long at their ends.

        A decoder with an encoder is assumed to generate as many tokens as its prompt has.
        """
        if self.windows:  # kept by `generate`, which allocates no more than it needs
            kept = sum(min(tokens, window) * size for window, size in self.windows)
            return rows * (kept + tokens * (self.full_bytes + self.encoder_bytes))
        columns = -(-(tokens + _DRAFTS) // self.column_step) * self.column_step
        return max(rows, _LEAST_ROWS) * columns * self.token_bytes


def cache_layout(
    config: Mapping[str, Any], *, dtype: str, itemsize: int, scheme: CacheGrid | None = None
) -> CacheLayout:
    """Read a model's cache from its config.

    Args:
        config: As in config.json; of the text part.
        dtype: Of keys and values, such as `bfloat16`.
        itemsize: Bytes of one value of it.
        scheme: How the cache of a decoder without an encoder is quantized; its scales are counted, too.

    Raises:
        KeyError: when the config has no number of layers.
    """
    step = _COLUMN_STEP if dtype == "bfloat16" else _OTHER_COLUMN_STEP
    if config.get("is_encoder_decoder"):
        layer = _decoder_layer_bytes(config, itemsize)
        layers = find_or_none(config, "decoder_layers") or find_value(config, "layers")
        return CacheLayout(full_bytes=layers * layer, encoder_bytes=layers * layer, column_step=step)
    if find_or_none(config, "heads") is None:  # recurrent: its state does not grow
        return CacheLayout(full_bytes=0)
    layer = _layer_bytes(config, scheme.vector_bytes if scheme else lambda size: size * itemsize)
    full, sliding = 0, 0
    for kind in _kinds(config):
        full += kind == "full"
        sliding += kind == "sliding"
    windows = ((int(config["sliding_window"]), sliding * layer),) if sliding else ()
    return CacheLayout(full_bytes=full * layer, windows=windows, column_step=step)


def why_not_quantized(config: Mapping[str, Any]) -> str:
    """Return why a model's cache cannot be quantized token by token, by its config; empty where it can."""
    if config.get("is_encoder_decoder"):
        return "it has an encoder"
    kinds = {"none"} if find_or_none(config, "heads") is None else set(_kinds(config))
    reasons = {"none": "layers that keep no keys and values", "sliding": "sliding-window attention"}
    return next((reason for kind, reason in reasons.items() if kind in kinds), "")


def _layer_bytes(config: Mapping[str, Any], vector_bytes: Callable[[int], int]) -> int:
    """Return the bytes of one token in one layer, by those of a vector of so many channels.

    Of latent attention (MLA), transformers keeps the keys and values of every head, not the latent vector.
    """
    if config.get("kv_lora_rank"):
        keys = config["qk_nope_head_dim"] + config["qk_rope_head_dim"]
        return int(find_value(config, "heads") * (vector_bytes(keys) + vector_bytes(config["v_head_dim"])))
    return int(2 * find_value(config, "kv_heads") * vector_bytes(head_size(config)))


def _decoder_layer_bytes(config: Mapping[str, Any], itemsize: int) -> int:
    heads = find_or_none(config, "decoder_heads") or find_value(config, "heads")
    size = config.get("d_kv") or find_value(config, "width") // heads
    return int(2 * heads * size * itemsize)


def _kinds(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield for each layer whether it keeps all tokens, a window of them, or none."""
    layers, types = find_value(config, "layers"), config.get("layer_types")
    if isinstance(types, list) and types:
        for kind in types[:layers]:
            sliding = "sliding" in kind or "chunked" in kind
            yield (
                "sliding"
                if sliding and config.get("sliding_window")
                else "full"
                if "attention" in kind and ("linear" not in kind)
                else "none"
            )
        return
    slides = bool(config.get("sliding_window")) and config.get("use_sliding_window", True)
    # Qwen's `max_window_layers` are the first ones, which do not slide
    first = int(config.get("max_window_layers", 0)) if "use_sliding_window" in config else 0
    yield from ("sliding" if slides and index >= first else "full" for index in range(layers))
