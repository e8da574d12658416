"""Prompts of a prefill, one behind the other in a single row, and the keys and values of what they begin with.

Prompts of a benchmark often begin with the same text, such as solved examples or the system's turn. That beginning is
computed once and by itself, like any prompt, and the rest of each prompt attends to its keys and values. How many
tokens count as the beginning depends on the prompt and on the benchmark (`rows.TokenCodec`). So a prompt is computed in
the same two parts whatever is computed beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from pytest_qeval.engines.hf.cache import Prefilled
from pytest_qeval.engines.hf.rounding_cache import RoundingCache
from pytest_qeval.quantize.recipe import CacheScheme

_LEAST_TOKENS = 64
"""Tokens of a pack at least: more than `FEW_TOKENS`, because a row as short as a decoding step would be multiplied as
one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Prompts in a row."""

    prompts: Sequence[Sequence[int]]
    """The tokens that are computed of each prompt."""
    prefixes: Sequence[Prefilled | None]
    """What each prompt begins with, if it is computed already."""

    @property
    def filling(self) -> int:
        """Tokens behind the prompts that fill the row up."""
        return max(0, _LEAST_TOKENS - sum(map(len, self.prompts)))

    @property
    def lengths(self) -> list[int]:
        """Tokens of each prompt, and of the filling."""
        return [*map(len, self.prompts), *([self.filling] if self.filling else [])]

    @property
    def offsets(self) -> list[int]:
        """Tokens before each prompt's, and before the filling, that are computed already."""
        return [*(one.length if one else 0 for one in self.prefixes), *([0] if self.filling else [])]

    @property
    def ids(self) -> list[int]:
        """All tokens of the row."""
        return [*chain.from_iterable(self.prompts), *[0] * self.filling]

    @property
    def positions(self) -> list[int]:
        """The position of each token in its own prompt."""
        both = zip(self.offsets, self.lengths, strict=True)
        return [*chain.from_iterable(range(start, start + length) for start, length in both)]

    @property
    def ends(self) -> list[int]:
        """The column of each prompt's last token."""
        return [end - 1 for end in accumulate(map(len, self.prompts))]

    def cache(self, layers: int, scheme: CacheScheme | None) -> Cache:
        """Make the cache of a forward pass over the row; keys and values of prefixes have been rounded already."""
        return RoundingCache(scheme=scheme, layers=[_PackLayer(self, index) for index in range(layers)])

    def columns_of(self, cache: Cache, name: str) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield each prompt's `keys` or `values`, per layer, its beginning included."""
        totals = [start + length for start, length in zip(self.offsets, self.lengths, strict=True)]
        for start, end in pairwise([0, *accumulate(totals[: len(self.prompts)])]):
            yield tuple(getattr(layer, name)[0, :, start:end] for layer in cache.layers)


class _PackLayer(DynamicLayer):  # type: ignore[misc] # transformers is untyped here
    """One layer's keys and values of a pack: in front of each prompt's own stand those of what it begins with."""

    def __init__(self, pack: Pack, index: int) -> None:
        super().__init__()
        self._lengths = pack.lengths
        self._keys = [one.keys[index] if one else None for one in pack.prefixes]
        self._values = [one.values[index] if one else None for one in pack.prefixes]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Take keys and values of all prompts [1, kv_heads, tokens, head_dim]; return them with the beginnings."""
        self.is_initialized = True
        self.keys = self._joined(key_states, self._keys)
        self.values = self._joined(value_states, self._values)
        return self.keys, self.values

    def _joined(self, states: torch.Tensor, prefixes: Sequence[torch.Tensor | None]) -> torch.Tensor:
        if not any(one is not None for one in prefixes):
            return states
        own = torch.split(states, self._lengths, dim=2)
        pairs = ((prefix, one) for prefix, one in zip(prefixes, own, strict=False))
        parts = (part for prefix, one in pairs for part in ([one] if prefix is None else [prefix[None], one]))
        return torch.cat([*parts, *own[len(prefixes) :]], dim=2)
