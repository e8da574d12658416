"""The key/value cache of the continuous batch: rows join, grow by their own lengths, and leave.

The caches of transformers append one column for the whole batch, so rows can neither join nor leave without copying
everything. Here every row begins at column 0 and has its own length. A step writes behind each row's end and attends
over as many columns as the longest live row has, rounded up; columns beyond a row's length are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.cache_utils import CacheLayerMixin, DynamicCache, DynamicLayer

from pytest_qeval.engines.hf.rounding_cache import RoundingCache
from pytest_qeval.quantize.kernels.compiled.attention import step_attention
from pytest_qeval.quantize.recipe import CacheScheme

_COLUMN_STEP = 64
"""Attended columns are a multiple of it, so that masked ones add zeros to a row's sums and change none."""
MIN_ROWS = 2
"""Rows of a step at least: kernels for a single one, which a stream has, add in another order."""
_MKL_COLUMN_STEP = 512
"""For other types than bfloat16: MKL adds more than 384 columns in two parts, and torch attends to 512 at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """A prompt after its prefill, outside of any batch, so that each of its samples can join one."""

    keys: tuple[torch.Tensor, ...]
    """Per layer [kv_heads, length, head_dim], in the model's dtype; with an encoder those of the decoder's start."""
    values: tuple[torch.Tensor, ...]
    length: int
    """Tokens of the prompt."""
    cross_keys: tuple[torch.Tensor, ...] = ()
    """Per layer [heads, length, head_dim], of the encoder's output; empty without an encoder."""
    cross_values: tuple[torch.Tensor, ...] = ()
    logits: torch.Tensor
    """[vocabulary], of the prompt's last position: the first token is chosen from them."""


class KeyValueStore:
    """Keys and values of all layers, alternating: tensors [rows, heads, columns, head_dim] that grow by columns."""

    def __init__(self, rows: int) -> None:
        """Allocate nothing yet: the first `write` knows the shapes."""
        self._rows = rows
        self.tensors: list[torch.Tensor] = []

    @property
    def columns(self) -> int:
        """Allocated columns."""
        return self.tensors[0].shape[2] if self.tensors else 0

    @property
    def nbytes(self) -> int:
        """Allocated bytes."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def write(
        self, row: int, start: int, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor], *, columns: int
    ) -> None:
        """Write keys and values [heads, length, head_dim] into a row from column `start`; make room for `columns`."""
        new = [tensor for pair in zip(keys, values, strict=True) for tensor in pair]
        self.reserve(new, columns)
        for stored, one in zip(self.tensors, new, strict=True):
            stored[row, :, start : start + one.shape[1]] = one

    def move(self, source: int, target: int, start: int, end: int) -> None:
        """Copy columns `start` to `end` of row `source` over row `target`."""
        for stored in self.tensors:
            stored[target, :, start:end] = stored[source, :, start:end]

    def reserve(self, like: Sequence[torch.Tensor], columns: int) -> None:
        """Make room for `columns` columns of tensors like these ([heads, any, head_dim])."""
        if columns <= self.columns:
            return
        columns = -(-columns // _COLUMN_STEP) * _COLUMN_STEP
        # zeros, not empty: a masked column still meets softmax weight 0, and 0 × NaN would be NaN
        grown = [one.new_zeros((self._rows, one.shape[0], columns, one.shape[2])) for one in like]
        for new, old in zip(grown, self.tensors, strict=False):
            new[:, :, : old.shape[2]] = old
        self.tensors = grown


class StoredLayer(CacheLayerMixin):  # type: ignore[misc] # transformers is untyped here
    """One layer of a cache whose keys and values are in a `KeyValueStore`."""

    is_sliding = False

    def __init__(self, store: KeyValueStore, index: int) -> None:
        """Take the store and the layer's number."""
        super().__init__()
        self._store, self._index = store, index
        self.is_initialized = True

    @property
    def pair(self) -> list[torch.Tensor]:
        """Keys and values, [rows, heads, columns, head_dim] each."""
        return self._store.tensors[2 * self._index : 2 * self._index + 2]

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: the store makes the tensors."""

    def get_max_length(self) -> int:
        """Return the allocated columns."""
        return self._store.columns


class _RowLayer(StoredLayer):
    def __init__(self, owner: RowCache, index: int) -> None:
        super().__init__(owner.store, index)
        self._owner = owner

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Write a step's keys and values ([rows, kv_heads, queries, head_dim]) and return the attended ones."""
        owner, (keys, values) = self._owner, self.pair
        owner.write(key_states, keys)
        owner.write(value_states, values)
        rows = key_states.shape[0]
        return keys[:rows, :, : owner.width], values[:rows, :, : owner.width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the attended width; the mask is made by `RowCache.begin_step`."""
        del query_length
        return self._owner.width, 0

    def get_seq_length(self) -> int:
        """Return the columns before the step's first query, of the longest row."""
        return self._owner.width - self._owner.columns.shape[1]


class RowCache(RoundingCache):
    """Keys and values of up to `rows` sequences of different lengths, each beginning at column 0."""

    def __init__(
        self, *, layers: int, rows: int, device: torch.device, dtype: torch.dtype, scheme: CacheScheme | None = None
    ) -> None:
        """Allocate nothing yet: the first `place` knows the shapes. What is placed has been rounded by `scheme`."""
        self.store = KeyValueStore(max(rows, MIN_ROWS))
        super().__init__(scheme=scheme, layers=[_RowLayer(self, index) for index in range(layers)])
        self._device, self._dtype = device, dtype
        self._step = _COLUMN_STEP if dtype == torch.bfloat16 else _MKL_COLUMN_STEP
        self.width = 0
        self.befores = torch.empty(0, dtype=torch.long)
        """Cached tokens of each row before the step."""
        self.columns = self.row_index = torch.empty((0, 0), dtype=torch.long)

    @property
    def nbytes(self) -> int:
        """Allocated bytes."""
        return self.store.nbytes

    def place(self, row: int, prompt: Prefilled, *, capacity: int) -> None:
        """Copy a prompt into `row`; allocate room for rows of `capacity` tokens."""
        self.store.write(row, 0, prompt.keys, prompt.values, columns=self._rounded(capacity))

    def move(self, source: int, target: int, *, length: int) -> None:
        """Fill a hole: copy the first `length` tokens of row `source` over row `target`."""
        self.store.move(source, target, 0, length)

    def begin_step(self, lengths: Sequence[int], *, queries: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Prepare a forward pass of `queries` new tokens behind each row's length.

        Returns:
            Positions [rows, queries] (int64), and the additive mask [rows, 1, queries, width] in the model's dtype,
            made once here instead of once per layer.
        """
        self.width = self._rounded(max(lengths) + queries)
        self.befores = torch.tensor(lengths, device=self._device)
        self.columns = self.befores[:, None] + torch.arange(queries, device=self._device)
        self.row_index = torch.arange(len(lengths), device=self._device)[:, None]
        hidden = torch.arange(self.width, device=self._device) > self.columns[:, :, None]
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device)
        mask.masked_fill_(hidden, torch.finfo(self._dtype).min)
        return self.columns, mask[:, None]

    def write(self, new: torch.Tensor, stored: torch.Tensor) -> None:
        """Write a step's keys or values ([rows, kv_heads, queries, head_dim]) behind each row's length."""
        compiled = step_attention() if new.device.type == "cpu" else None
        if compiled and self._has_room(new, stored):
            compiled.append(new, stored, self.befores)
        else:
            stored[self.row_index, :, self.columns] = new.transpose(1, 2)

    def _has_room(self, new: torch.Tensor, stored: torch.Tensor) -> bool:
        """Return whether tensors are those of the step; torch has to refuse others, and does."""
        expected = (len(self.befores), stored.shape[1], self.columns.shape[1], stored.shape[3])
        fits = new.shape == expected and len(new) <= len(stored) and self.width <= stored.shape[2]
        return fits and new.dtype == stored.dtype == torch.bfloat16 and new.stride(-1) == 1

    def _rounded(self, columns: int) -> int:
        return -(-columns // self._step) * self._step


def find_unsupported_layers(config: PreTrainedConfig) -> str:
    """Return why `RowCache` cannot hold this model's cache; empty when every layer keeps all its keys and values."""
    odd = {type(layer).__name__ for layer in DynamicCache(config=config).layers if type(layer) is not DynamicLayer}
    if any("Sliding" in name for name in odd):
        return "sliding-window attention"
    return f"cache layers of another kind ({', '.join(sorted(odd))})" if odd else ""
