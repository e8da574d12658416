"""The key/value caches of the continuous batch where prompts go to an encoder: all rows end in the same column.

Nothing tells these models a row's own positions: T5 derives its biases from distances between columns, BART counts the
columns of the cache. So rows are aligned at their ends, whatever their lengths, and distances are right for every row;
columns before a row's beginning are masked. A row that joins begins where the others are by now, and columns that
nobody looks at any more are given to those that come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, EncoderDecoderCache

from pytest_qeval.engines.hf.cache import Prefix

__all__ = ["AlignedCache"]

_CAPACITY_STEP = 64


class _Shown(NamedTuple):
    """A step's rows and columns, the same for all layers: the last is written, all from the first are attended over."""

    rows: int
    first: int
    end: int


class _SelfLayer(CacheLayerMixin):  # type: ignore[misc] # transformers is untyped here
    """One layer's keys and values of what the decoder has said, [rows, heads, capacity, head_dim]."""

    is_sliding = False

    def __init__(self, shown: _Shown, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self._shown = shown
        self.keys, self.values = keys, values
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Write a step's keys and values ([rows, heads, 1, head_dim]) and give what is attended over."""
        rows, first, end = self._shown
        self.keys[:rows, :, end - 1 : end] = key_states
        self.values[:rows, :, end - 1 : end] = value_states
        return self.keys[:rows, :, first:end], self.values[:rows, :, first:end]

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: the tensors are given."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the attended width."""
        del query_length
        return self._shown.end - self._shown.first, 0

    def get_seq_length(self) -> int:
        """Return the attended columns before the step's own."""
        return self._shown.end - self._shown.first - 1

    def get_max_length(self) -> int:
        """Return the number of columns that are allocated."""
        return int(self.keys.shape[2])


class _Store:
    """Keys and values of all layers, in turn: tensors [rows, heads, columns, head_dim] that grow by columns."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.columns = 0
        self.tensors: list[torch.Tensor] = []

    @property
    def pairs(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of each layer."""
        return zip(self.tensors[::2], self.tensors[1::2], strict=True)

    def reserve(self, like: Sequence[torch.Tensor], columns: int) -> None:
        """Have room for so many columns of tensors like these ([heads, any, head_dim])."""
        if columns <= self.columns:
            return
        self.columns = -(-columns // _CAPACITY_STEP) * _CAPACITY_STEP
        # zeros, not empty: a masked column still meets softmax weight 0, and 0 × NaN would be NaN
        grown = [one.new_zeros((self._rows, one.shape[0], self.columns, one.shape[2])) for one in like]
        for new, old in zip(grown, self.tensors, strict=False):
            new[:, :, : old.shape[2]] = old
        self.tensors = grown


class AlignedCache:
    """Keys and values of up to `rows` completions, and of the prompts that they answer."""

    def __init__(self, *, rows: int, device: torch.device) -> None:
        """Allocate nothing yet: the first `place` knows the shapes."""
        self._device = device
        self._said, self._read = _Store(rows), _Store(rows)
        self._starts, self._sources = [0] * rows, [0] * rows
        self._end = 0

    def place(self, row: int, prefix: Prefix, *, capacity: int) -> None:
        """Copy a prompt's keys and values, and those of the decoder's beginning, into `row`.

        Row 0 is placed when nobody else is there. Columns grow with the rows, so `capacity` is not needed.
        """
        del capacity
        width = prefix.keys[0].shape[1]
        self._end = max(self._end, width) if row else width
        said, read = _pairs(prefix.keys, prefix.values), _pairs(prefix.cross_keys, prefix.cross_values)
        self._said.reserve(said, self._end + 1)
        self._read.reserve(read, prefix.length)
        for stored, new in zip(self._said.tensors, said, strict=True):
            stored[row, :, self._end - width : self._end] = new
        for stored, new in zip(self._read.tensors, read, strict=True):
            stored[row, :, : prefix.length] = new
        self._starts[row], self._sources[row] = self._end - width, prefix.length

    def move(self, source: int, target: int, *, length: int) -> None:
        """Copy row `source` over row `target`: how a hole is filled. Its `length` is known here."""
        del length
        for store, begin, end in (
            (self._said, self._starts[source], self._end),
            (self._read, 0, self._sources[source]),
        ):
            for stored in store.tensors:
                stored[target, :, begin:end] = stored[source, :, begin:end]
        self._starts[target], self._sources[target] = self._starts[source], self._sources[source]

    def begin_step(self, rows: int) -> tuple[EncoderDecoderCache, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Prepare a forward pass of one new token for each of the first `rows` rows.

        Returns:
            What the model takes as its cache, the position of each row's token [rows], and what is no padding, of what
            was said [rows, columns] and of the prompts [rows, width].
        """
        first = min(self._starts[:rows])
        if self._end == self._said.columns:
            first = self._make_room(first)
        self._end += 1
        shown = _Shown(rows=rows, first=first, end=self._end)
        starts, sources = (torch.tensor(values[:rows])[:, None] for values in (self._starts, self._sources))
        width = int(sources.max())
        cache = EncoderDecoderCache(
            Cache(layers=[_SelfLayer(shown, *pair) for pair in self._said.pairs]),
            Cache(
                layers=[
                    _read_layer(keys[:rows, :, :width], values[:rows, :, :width]) for keys, values in self._read.pairs
                ]
            ),
        )
        positions = self._end - 1 - starts[:, 0]
        said, read = torch.arange(first, self._end) >= starts, torch.arange(width) < sources
        return cache, positions.to(self._device), said.to(self._device), read.to(self._device)

    def _make_room(self, first: int) -> int:
        """Return away the columns before `first`, or allocate more where that would not last; give the new `first`."""
        if 2 * first < self._end:
            self._said.reserve([stored[0] for stored in self._said.tensors], 2 * self._end)
            return first
        for stored in self._said.tensors:
            # the two ranges do not overlap, since at least half of the columns are free
            stored[:, :, : self._end - first] = stored[:, :, first : self._end]
        self._starts = [start - first for start in self._starts]
        self._end -= first
        return 0


def _pairs(keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor for pair in zip(keys, values, strict=True) for tensor in pair]


def _read_layer(keys: torch.Tensor, values: torch.Tensor) -> DynamicLayer:
    """Return what models read of one layer; they add nothing to it, since the cache says that it is whole."""
    layer = DynamicLayer()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values = keys, values
    return layer
