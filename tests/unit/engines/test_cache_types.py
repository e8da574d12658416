"""What `+kv8` and `+kv4` mean to llama.cpp, and the bytes that its caches take."""

from __future__ import annotations

import pytest

from pytest_qeval.engines.fit.cache_layout import cache_layout
from pytest_qeval.engines.llamacpp.cache_types import cache_arguments, cache_type
from pytest_qeval.quantize.lookup import find_recipe

QWEN = {"num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "hidden_size": 896}


@pytest.mark.parametrize(("recipe", "name", "token_bytes"), [("auto+kv8", "q8_0", 6528), ("auto+kv4", "q4_0", 3456)])
def test_blocks_of_32_channels_have_a_scale_in_float16(recipe: str, name: str, token_bytes: int) -> None:
    """Of 64 channels 2 × 34 or 2 × 18 bytes: 24 layers, 2 heads, keys and values."""
    found = cache_type(find_recipe(recipe).cache)

    assert found is not None
    assert found.name == name
    assert cache_layout(QWEN, dtype="float16", itemsize=2, scheme=found).token_bytes == token_bytes
    assert cache_layout(QWEN, dtype="float16", itemsize=2).token_bytes == 12288
    assert cache_arguments(found) == ("--cache-type-k", name, "--cache-type-v", name, "--flash-attn", "on")


def test_a_plain_cache_is_asked_for_by_its_name() -> None:
    """llama.cpp would take another type from the environment."""
    assert cache_type(find_recipe("as-is").cache) is None
    assert cache_arguments(None) == ("--cache-type-k", "f16", "--cache-type-v", "f16")
