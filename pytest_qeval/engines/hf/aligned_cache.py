"""The key/value caches of the continuous batch for encoder-decoder models: all rows end in the same column.

These models cannot be given a row's own positions: T5 derives its biases from distances between columns, BART counts
the columns of the cache. Rows are therefore aligned at their ends, so that distances are right for every row, and
columns before a row's beginning are masked. A row that joins begins at the current column. Columns that no row uses any
more are reused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache

from pytest_qeval.engines.hf.cache import KeyValueStore, Prefilled, StoredLayer


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


class _SelfLayer(StoredLayer):
    def __init__(self, store: KeyValueStore, index: int, window: _Window) -> None:
        super().__init__(store, index)
        self._window = window

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Write a step's keys and values ([rows, heads, 1, head_dim]) and return the attended ones."""
        (rows, first, end), (keys, values) = self._window, self.pair
        keys[:rows, :, end - 1 : end] = key_states
        values[:rows, :, end - 1 : end] = value_states
        return keys[:rows, :, first:end], values[:rows, :, first:end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the attended width."""
        del query_length
        return self._window.end - self._window.first, 0

    def get_seq_length(self) -> int:
        """Return the attended columns before the step's own."""
        return self._window.end - self._window.first - 1


class AlignedCache:
    """Decoder and encoder keys and values of up to `rows` completions."""

    def __init__(self, *, rows: int, device: torch.device) -> None:
        """Allocate nothing yet: the first `place` knows the shapes."""
        self._device = device
        self._decoder, self._encoder = KeyValueStore(rows), KeyValueStore(rows)
        self._starts, self._prompt_lengths = [0] * rows, [0] * rows
        self._end = 0

    @property
    def columns(self) -> int:
        """Allocated columns of the decoder."""
        return self._decoder.columns

    @property
    def nbytes(self) -> int:
        """Allocated bytes, the encoder's keys and values included."""
        return self._decoder.nbytes + self._encoder.nbytes

    def place(self, row: int, prompt: Prefilled, *, capacity: int) -> None:
        """Copy a prompt's keys and values, and those of the decoder's start, into `row`.

        Row 0 is placed when the batch is empty. Columns grow with the rows, so `capacity` is not needed.
        """
        del capacity
        width = prompt.keys[0].shape[1]
        self._end = max(self._end, width) if row else width
        start = self._end - width
        self._decoder.write(row, start, prompt.keys, prompt.values, columns=self._end + 1)
        self._encoder.write(row, 0, prompt.cross_keys, prompt.cross_values, columns=prompt.length)
        self._starts[row], self._prompt_lengths[row] = start, prompt.length

    def move(self, source: int, target: int, *, length: int) -> None:
        """Fill a hole: copy row `source` over row `target`. Its `length` is known here."""
        del length
        self._decoder.move(source, target, self._starts[source], self._end)
        self._encoder.move(source, target, 0, self._prompt_lengths[source])
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
        layers = range(len(self._decoder.tensors) // 2)
        own = Cache(layers=[_SelfLayer(self._decoder, layer, window) for layer in layers])
        encoded = [stored[:rows, :, :width] for stored in self._encoder.tensors]
        cross = Cache(layers=[_cross_layer(*encoded[2 * layer : 2 * layer + 2]) for layer in layers])
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


def _cross_layer(keys: torch.Tensor, values: torch.Tensor) -> DynamicLayer:
    """Wrap one layer's encoder keys and values; models add nothing to a cache that is initialized."""
    layer = DynamicLayer()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values = keys, values
    return layer
