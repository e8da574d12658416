"""The key/value cache of the continuous batch: rows join, grow by their own lengths, and leave.

The caches of transformers append one column for the whole batch, so rows can neither join nor leave without copying
everything. Here every row begins at column 0 and has its own length. A step writes behind each row's end and attends
over as many columns as the longest live row has; columns beyond a row's length are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer

__all__ = ["CAPACITY_STEP", "Prefix", "RowCache", "find_unsupported_layers"]

CAPACITY_STEP = 64
"""Caches grow by a multiple of so many columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """Keys and values of one prompt outside of any batch, so that several samples can begin from it."""

    keys: tuple[torch.Tensor, ...]
    """Per layer [kv_heads, length, head_dim], in the model's dtype; with an encoder those of the decoder's start."""
    values: tuple[torch.Tensor, ...]
    length: int
    """Tokens of the prompt."""
    cross_keys: tuple[torch.Tensor, ...] = ()
    """Per layer [heads, length, head_dim], of the encoder's output; empty without an encoder."""
    cross_values: tuple[torch.Tensor, ...] = ()


class _RowLayer(CacheLayerMixin):  # type: ignore[misc] # transformers is untyped here
    """Keys and values of one layer for all rows, [rows, kv_heads, capacity, head_dim]."""

    is_sliding = False

    def __init__(self, owner: RowCache) -> None:
        super().__init__()
        self._owner = owner
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Write a step's keys and values ([rows, kv_heads, queries, head_dim]) and return the attended ones."""
        owner = self._owner
        self.keys[owner.row_index, :, owner.columns] = key_states.transpose(1, 2)
        self.values[owner.row_index, :, owner.columns] = value_states.transpose(1, 2)
        rows = key_states.shape[0]
        return self.keys[:rows, :, : owner.width], self.values[:rows, :, : owner.width]

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: `RowCache.place` makes the tensors."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the attended width; the mask is made by `RowCache.begin_step`."""
        del query_length
        return self._owner.width, 0

    def get_seq_length(self) -> int:
        """Return the columns before the step's first query, of the longest row."""
        return self._owner.width - self._owner.columns.shape[1]

    def get_max_length(self) -> int:
        """Return the allocated columns."""
        return int(self.keys.shape[2])


class RowCache(Cache):  # type: ignore[misc] # transformers is untyped here
    """Keys and values of up to `rows` sequences of different lengths, each beginning at column 0."""

    def __init__(self, *, layers: int, rows: int, device: torch.device, dtype: torch.dtype) -> None:
        """Allocate nothing yet: the first `place` knows the shapes."""
        super().__init__(layers=[_RowLayer(self) for _ in range(layers)])
        self._rows = rows
        self._device, self._dtype = device, dtype
        self._capacity = 0
        self.width = 0
        self.columns = self.row_index = torch.empty((0, 0), dtype=torch.long)

    def place(self, row: int, prefix: Prefix, *, capacity: int) -> None:
        """Copy a prompt into `row`; allocate room for rows of `capacity` tokens."""
        if capacity > self._capacity:
            self._grow(prefix, capacity)
        for layer, keys, values in zip(self.layers, prefix.keys, prefix.values, strict=True):
            layer.keys[row, :, : prefix.length] = keys
            layer.values[row, :, : prefix.length] = values

    def move(self, source: int, target: int, *, length: int) -> None:
        """Fill a hole: copy the first `length` tokens of row `source` over row `target`."""
        for layer in self.layers:
            layer.keys[target, :, :length] = layer.keys[source, :, :length]
            layer.values[target, :, :length] = layer.values[source, :, :length]

    def begin_step(self, lengths: Sequence[int], *, queries: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Prepare a forward pass of `queries` new tokens behind each row's length.

        Returns:
            Positions [rows, queries] (int64), and the additive mask [rows, 1, queries, width] in the model's dtype,
            made once here instead of once per layer.
        """
        self.width = max(lengths) + queries
        start = torch.tensor(lengths, device=self._device)
        self.columns = start[:, None] + torch.arange(queries, device=self._device)
        self.row_index = torch.arange(len(lengths), device=self._device)[:, None]
        hidden = torch.arange(self.width, device=self._device) > self.columns[:, :, None]
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device)
        mask.masked_fill_(hidden, torch.finfo(self._dtype).min)
        return self.columns, mask[:, None]

    def _grow(self, prefix: Prefix, capacity: int) -> None:
        self._capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        for layer, keys, values in zip(self.layers, prefix.keys, prefix.values, strict=True):
            layer.keys = self._enlarge(layer.keys, keys)
            layer.values = self._enlarge(layer.values, values)

    def _enlarge(self, old: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        # zeros, not empty: a masked column still meets softmax weight 0, and 0 × NaN would be NaN
        new = like.new_zeros((self._rows, like.shape[0], self._capacity, like.shape[2]))
        if old is not None:
            new[:, :, : old.shape[2]] = old
        return new


def find_unsupported_layers(config: PreTrainedConfig) -> str:
    """Return why `RowCache` cannot hold this model's cache; empty when every layer keeps all its keys and values."""
    odd = {type(layer).__name__ for layer in DynamicCache(config=config).layers if type(layer) is not DynamicLayer}
    if any("Sliding" in name for name in odd):
        return "sliding-window attention"
    return f"cache layers of another kind ({', '.join(sorted(odd))})" if odd else ""
