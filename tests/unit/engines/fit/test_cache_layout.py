"""The key/value cache by formula: windows, encoders, latent attention, and growth with rows and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.engines.fit.cache_layout import CacheLayout, cache_layout
from pytest_qeval.quantize.recipe import CacheScheme

BASE: Mapping[str, Any] = {
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}
LAYER = 2 * 2 * 8 * 2
"""Bytes of one token in one layer of it, in half precision."""


def layout(**fields: Any) -> CacheLayout:
    return cache_layout({**BASE, **fields}, dtype="bfloat16", itemsize=2)


@pytest.mark.parametrize(
    ("fields", "full", "windows"),
    [
        ({}, 4 * LAYER, ()),
        ({"head_dim": 32}, 16 * LAYER, ()),
        ({"num_key_value_heads": None}, 16 * LAYER, ()),
        ({"sliding_window": 100}, 0, ((100, 4 * LAYER),)),
        ({"sliding_window": 100, "use_sliding_window": False}, 4 * LAYER, ()),
        ({"sliding_window": 100, "use_sliding_window": True, "max_window_layers": 3}, 3 * LAYER, ((100, LAYER),)),
        (
            {"sliding_window": 9, "layer_types": ["full_attention", *["sliding_attention"] * 3]},
            LAYER,
            ((9, 3 * LAYER),),
        ),
        ({"layer_types": ["linear_attention"] * 3 + ["full_attention"]}, LAYER, ()),
        ({"num_attention_heads": None, "num_key_value_heads": None}, 0, ()),
    ],
    ids=["grouped", "wide heads", "not grouped", "window", "window off", "first layers", "mixed", "linear", "none"],
)
def test_layers_count_by_what_they_keep(
    fields: Mapping[str, Any], full: int, windows: tuple[tuple[int, int], ...]
) -> None:
    found = layout(**fields)
    assert (found.full_bytes, tuple(found.windows)) == (full, windows)


def test_latent_attention_is_kept_as_keys_and_values_of_every_head() -> None:
    """As transformers keeps it: DeepSeek's 128 heads of 192 and 128 values, and not its 512 latent ones."""
    sizes = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
    found = layout(num_hidden_layers=61, num_attention_heads=128, num_key_value_heads=128, **sizes)
    assert found.token_bytes == 61 * 128 * (192 + 128) * 2


def test_an_encoder_is_attended_to_by_every_layer_of_the_decoder() -> None:
    """CodeT5-base in half precision: 12 layers, 12 heads of 64."""
    config = {"is_encoder_decoder": True, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12, "d_kv": 64}
    found = cache_layout({**config, "d_model": 768}, dtype="float16", itemsize=2)
    assert found.full_bytes == found.encoder_bytes == 12 * 2 * 12 * 64 * 2


def test_the_batch_allocates_whole_steps_of_columns() -> None:
    """With room for drafts, and for two rows at least."""
    assert layout().bytes(rows=8, tokens=1024) == 8 * (1024 + 64) * 4 * LAYER
    assert layout().bytes(rows=1, tokens=49) == 2 * 64 * 4 * LAYER


def test_a_window_is_filled_once() -> None:
    found = layout(sliding_window=100)
    assert found.bytes(rows=3, tokens=50) == 3 * 50 * 4 * LAYER
    assert found.bytes(rows=3, tokens=5000) == 3 * 100 * 4 * LAYER


@given(
    rows=st.integers(1, 200),
    tokens=st.integers(1, 10**5),
    more_rows=st.integers(0, 100),
    more_tokens=st.integers(0, 10**4),
    window=st.sampled_from([None, 1, 4096]),
)
def test_more_never_needs_less(rows: int, tokens: int, more_rows: int, more_tokens: int, window: int | None) -> None:
    found = layout(sliding_window=window)
    assert found.bytes(rows=rows, tokens=tokens) <= found.bytes(rows=rows + more_rows, tokens=tokens + more_tokens)


@pytest.mark.parametrize(("bits", "payload"), [(8, 64), (4, 32)])
def test_a_quantized_cache_is_its_payload_and_its_scales(bits: int, payload: int) -> None:
    """Four bytes beside each of the 2 × 2 × 24 vectors of 64 channels of Qwen2.5-0.5B, whatever its type was."""
    config = {"num_hidden_layers": 24, "hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2}
    for dtype, itemsize in (("bfloat16", 2), ("float32", 4)):
        found = cache_layout(config, dtype=dtype, itemsize=itemsize, scheme=CacheScheme(bits=bits))
        assert found.token_bytes == 2 * 2 * 24 * (payload + 4)


def test_latent_attention_has_vectors_of_two_sizes() -> None:
    """Keys of 192 channels, values of 128, of every head."""
    sizes = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
    found = cache_layout({**BASE, **sizes}, dtype="bfloat16", itemsize=2, scheme=CacheScheme(bits=4))
    assert found.token_bytes == 4 * 8 * (96 + 4 + 64 + 4)
