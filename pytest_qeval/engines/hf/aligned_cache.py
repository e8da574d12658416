"""The key/value caches of the continuous batch for encoder-decoder models: all rows end in the same column.

These models cannot be given a row's own positions: T5 derives its biases from distances between columns, BART counts
the columns of the cache. Rows are therefore aligned at their ends, so that distances are right for every row, and
columns before a row's beginning are masked. A row that joins begins at the current column. Columns that no row uses any
more are reused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, EncoderDecoderCache

from pytest_qeval.engines.hf.cache import CAPACITY_STEP, Prefix

__all__ = ["AlignedCache", "AlignedStep"]


class AlignedStep(NamedTuple):
    """What a forward pass of one new token per row is given."""

    cache: EncoderDecoderCache
    positions: torch.Tensor
    """[rows], of the new tokens."""
    decoder_mask: torch.Tensor
    """[rows, columns], true where there is no padding."""
    encoder_mask: torch.Tensor
    """[rows, width of the prompts]."""


class _Window(NamedTuple):
    """Rows and columns of a step, the same for all layers: the last column is written, all from `first` attended."""

    rows: int
    first: int
    end: int


class _SelfLayer(CacheLayerMixin):  # type: ignore[misc] # transformers is untyped here
    """Keys and values of one decoder layer's own tokens, [rows, heads, capacity, head_dim]."""

    is_sliding = False

    def __init__(self, window: _Window, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self._window = window
        self.keys, self.values = keys, values
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Write a step's keys and values ([rows, heads, 1, head_dim]) and return the attended ones."""
        rows, first, end = self._window
        self.keys[:rows, :, end - 1 : end] = key_states
        self.values[:rows, :, end - 1 : end] = value_states
        return self.keys[:rows, :, first:end], self.values[:rows, :, first:end]

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: the tensors are given."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the attended width."""
        del query_length
        return self._window.end - self._window.first, 0

    def get_seq_length(self) -> int:
        """Return the attended columns before the step's own."""
        return self._window.end - self._window.first - 1

    def get_max_length(self) -> int:
        """Return the allocated columns."""
        return int(self.keys.shape[2])


class _Store:
    """Keys and values of all layers, alternating: tensors [rows, heads, columns, head_dim] that grow by columns."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.columns = 0
        self.tensors: list[torch.Tensor] = []

    @property
    def layers(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of each layer."""
        return zip(self.tensors[::2], self.tensors[1::2], strict=True)

    def write(self, row: int, start: int, new: Sequence[torch.Tensor], *, columns: int) -> None:
        """Write tensors [heads, length, head_dim] into a row from column `start`, with room for `columns` columns."""
        self.reserve(new, columns)
        for stored, one in zip(self.tensors, new, strict=True):
            stored[row, :, start : start + one.shape[1]] = one

    def reserve(self, like: Sequence[torch.Tensor], columns: int) -> None:
        """Make room for `columns` columns of tensors like these ([heads, any, head_dim])."""
        if columns <= self.columns:
            return
        self.columns = -(-columns // CAPACITY_STEP) * CAPACITY_STEP
        # zeros, not empty: a masked column still meets softmax weight 0, and 0 × NaN would be NaN
        grown = [one.new_zeros((self._rows, one.shape[0], self.columns, one.shape[2])) for one in like]
        for new, old in zip(grown, self.tensors, strict=False):
            new[:, :, : old.shape[2]] = old
        self.tensors = grown


class AlignedCache:
    """Decoder and encoder keys and values of up to `rows` completions."""

    def __init__(self, *, rows: int, device: torch.device) -> None:
        """Allocate nothing yet: the first `place` knows the shapes."""
        self._device = device
        self._decoder, self._encoder = _Store(rows), _Store(rows)
        self._starts, self._prompt_lengths = [0] * rows, [0] * rows
        self._end = 0

    @property
    def columns(self) -> int:
        """Allocated columns of the decoder."""
        return self._decoder.columns

    def place(self, row: int, prefix: Prefix, *, capacity: int) -> None:
        """Copy a prompt's keys and values, and those of the decoder's start, into `row`.

        Row 0 is placed when the batch is empty. Columns grow with the rows, so `capacity` is not needed.
        """
        del capacity
        width = prefix.keys[0].shape[1]
        self._end = max(self._end, width) if row else width
        start = self._end - width
        self._decoder.write(row, start, _interleave(prefix.keys, prefix.values), columns=self._end + 1)
        self._encoder.write(row, 0, _interleave(prefix.cross_keys, prefix.cross_values), columns=prefix.length)
        self._starts[row], self._prompt_lengths[row] = start, prefix.length

    def move(self, source: int, target: int, *, length: int) -> None:
        """Fill a hole: copy row `source` over row `target`. Its `length` is known here."""
        del length
        for store, begin, end in (
            (self._decoder, self._starts[source], self._end),
            (self._encoder, 0, self._prompt_lengths[source]),
        ):
            for stored in store.tensors:
                stored[target, :, begin:end] = stored[source, :, begin:end]
        self._starts[target], self._prompt_lengths[target] = self._starts[source], self._prompt_lengths[source]

    def begin_step(self, rows: int) -> AlignedStep:
        """Prepare a forward pass of one new token for each of the first `rows` rows."""
        first = min(self._starts[:rows])
        if self._end == self._decoder.columns:
            first = self._make_room(first)
        self._end += 1
        window = _Window(rows=rows, first=first, end=self._end)
        starts, lengths = (torch.tensor(values[:rows])[:, None] for values in (self._starts, self._prompt_lengths))
        width = int(lengths.max())
        own = Cache(layers=[_SelfLayer(window, *pair) for pair in self._decoder.layers])
        cross = Cache(layers=[_cross_layer(*(one[:rows, :, :width] for one in pair)) for pair in self._encoder.layers])
        return AlignedStep(
            cache=EncoderDecoderCache(own, cross),
            positions=(self._end - 1 - starts[:, 0]).to(self._device),
            decoder_mask=(torch.arange(first, self._end) >= starts).to(self._device),
            encoder_mask=(torch.arange(width) < lengths).to(self._device),
        )

    def _make_room(self, first: int) -> int:
        """Drop the columns before `first`, or allocate more where that would not last; return the new `first`."""
        if 2 * first < self._end:
            self._decoder.reserve([stored[0] for stored in self._decoder.tensors], 2 * self._end)
            return first
        for stored in self._decoder.tensors:
            # the two ranges do not overlap, since at least half of the columns are free
            stored[:, :, : self._end - first] = stored[:, :, first : self._end]
        self._starts = [start - first for start in self._starts]
        self._end -= first
        return 0


def _interleave(keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor for pair in zip(keys, values, strict=True) for tensor in pair]


def _cross_layer(keys: torch.Tensor, values: torch.Tensor) -> DynamicLayer:
    """Wrap one layer's encoder keys and values; models add nothing to a cache that is initialized."""
    layer = DynamicLayer()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values = keys, values
    return layer
