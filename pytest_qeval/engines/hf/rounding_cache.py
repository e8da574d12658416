"""Caches of transformers that hold keys and values as a quantized cache would.

Keys and values are rounded as they are written, and attention reads what was written, that of the token itself
included. So a prompt that is read at once, the same prompt behind a shared beginning, a decoding step, a step with
drafts and a text that is scored all attend to the same numbers. Each vector is rounded by itself, whatever is beside
it in the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache

from pytest_qeval.quantize.kernels.key_values import round_vectors
from pytest_qeval.quantize.recipe import CacheScheme


class RoundingCache(Cache):  # type: ignore[misc] # transformers is untyped here
    """A cache whose layers get rounded keys and values."""

    def __init__(self, *, scheme: CacheScheme | None, **arguments: Any) -> None:
        """Take the scheme, None for no rounding, and the arguments of the class behind this one."""
        super().__init__(**arguments)
        self._scheme = scheme

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> Any:
        """Write keys and values [rows, kv_heads, tokens, head_dim], and return the attended ones."""
        if self._scheme:
            key_states, value_states = (round_vectors(one, self._scheme) for one in (key_states, value_states))
        return super().update(key_states, value_states, layer_idx, *args, **kwargs)


class RoundingDynamicCache(RoundingCache, DynamicCache):  # type: ignore[misc] # transformers is untyped here
    """The cache that a model makes for itself, rounding."""
