"""Forward passes of a causal model in the continuous batch: prefill a few prompts, and advance every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import torch
from transformers.cache_utils import Cache

from pytest_qeval.engines.hf.attention import attends_in_packs, in_step, packed
from pytest_qeval.engines.hf.cache import MIN_ROWS, Prefilled, RowCache
from pytest_qeval.engines.hf.packs import Pack
from pytest_qeval.engines.hf.rounding_cache import RoundingDynamicCache
from pytest_qeval.quantize.recipe import CacheScheme

_PROMPT_STEP = 64
"""Tokens to a multiple of which a prompt is padded where prompts are not packed, so that its sums have the same parts
beside any other."""


class CausalBatchModel:
    """A causal language model together with the cache of its rows."""

    supports_drafts = True
    """Whether a step may hold several tokens of a row, of which only some are kept."""

    def __init__(self, model: Any, *, rows: int, scheme: CacheScheme | None = None) -> None:
        """Take a transformers model whose layers all keep their whole cache (see `find_unsupported_layers`).

        `scheme` is how keys and values are quantized, None for not at all.
        """
        self._model, self._scheme = model, scheme
        self._limit = context_length(model)
        self._head = model.get_output_embeddings()
        self._packs = attends_in_packs(model)
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        self._prefixes: dict[tuple[int, ...], Prefilled] = {}
        self._layers = model.config.get_text_config(decoder=True).num_hidden_layers
        self.cache = RowCache(layers=self._layers, rows=rows, device=model.device, dtype=model.dtype, scheme=scheme)

    @property
    def shares_prefixes(self) -> bool:
        """Whether the beginning of prompts is computed once, where they share it."""
        return self._packs

    def padded_length(self, tokens: int) -> int:
        """Return how many tokens a prompt takes in a prefill."""
        return tokens if self._packs else padded_length(tokens, self._limit)

    def group(self, tokens: int) -> int:
        """Return a number that prompts have in common if they may be prefilled together."""
        return 0 if self._packs else self.padded_length(tokens)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> list[Prefilled]:
        """Run prompts of one group together: one behind the other in one row, or as rows of one padded length.

        Args:
            prompts: Tokens.
            shared: How many tokens each prompt begins with that others may begin with, too: fewer than it has. They are
                computed once, by themselves, where `shares_prefixes`.
        """
        if not self._packs:
            return self._prefill_padded(prompts)
        counts = [count for _, count in zip(prompts, shared or repeat(0), strict=False)]
        prefixes = [self._prefix(tuple(prompt[:count])) for prompt, count in zip(prompts, counts, strict=True)]
        rest = [prompt[count:] for prompt, count in zip(prompts, counts, strict=True)]
        return self._prefill_packed(Pack(prompts=rest, prefixes=prefixes))

    def _prefix(self, ids: tuple[int, ...]) -> Prefilled | None:
        """Return what prompts begin with, computed at its first use."""
        if ids and ids not in self._prefixes:
            self._prefixes[ids] = self._prefill_packed(Pack(prompts=[ids], prefixes=[None]))[0]
        return self._prefixes.get(ids)

    def _prefill_packed(self, pack: Pack) -> list[Prefilled]:
        """Run prompts that stand one behind the other, without padding."""
        cache, ids, ends = pack.cache(self._layers, self._scheme), pack.ids, pack.ends
        borders = packed(pack.lengths, pack.offsets, self._model.dtype, self._model.device)
        with self._only_at([0] * len(ends), ends), borders:
            output = self._model(
                input_ids=self._tensor([ids]),
                position_ids=self._tensor([pack.positions]),
                attention_mask=self._any_mask(len(ids)),
                past_key_values=cache,
                use_cache=True,
            )
        parts = zip(pack.columns_of(cache, "keys"), pack.columns_of(cache, "values"), strict=True)
        return [
            Prefilled(keys=keys, values=values, length=keys[0].shape[1], logits=output.logits[at, -1])
            for at, (keys, values) in enumerate(parts)
        ]

    def _prefill_padded(self, prompts: Sequence[Sequence[int]]) -> list[Prefilled]:
        """Run prompts that are padded on the right.

        A causal model never attends to later tokens, so this padding needs no mask; it is cut off afterwards.
        """
        lengths = [len(prompt) for prompt in prompts]
        cache = RoundingDynamicCache(scheme=self._scheme, config=self._model.config)
        ids, _ = pad_right(prompts, self._model.device, length=self.padded_length(max(lengths)))
        with self._only_at(range(len(lengths)), [length - 1 for length in lengths]):
            output = self._model(input_ids=ids, past_key_values=cache, use_cache=True)
        return [
            Prefilled(
                keys=copy_columns(cache, "keys", row, length),
                values=copy_columns(cache, "values", row, length),
                length=length,
                logits=output.logits[row, -1],
            )
            for row, length in enumerate(lengths)
        ]

    def _any_mask(self, tokens: int) -> torch.Tensor:
        """Return a mask that keeps the model from making its own; `packed` attention does not look at it."""
        return torch.zeros((1, 1, tokens, tokens), dtype=self._model.dtype, device=self._model.device)

    def _tensor(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor(rows, device=self._model.device)

    @torch.inference_mode()
    def advance(self, lengths: Sequence[int], tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Feed every row its next tokens behind its first `lengths[row]` cached ones.

        Args:
            lengths: Cached tokens of rows 0, 1, …
            tokens: Equally many tokens for each of these rows.

        Returns:
            Logits [rows, queries, vocabulary] in the model's dtype.
        """
        spare = max(0, MIN_ROWS - len(lengths))
        fed = [*tokens, *[tokens[0]] * spare]
        positions, mask = self.cache.begin_step([*lengths, *[lengths[0]] * spare], queries=len(tokens[0]))
        with in_step(self.cache.befores, mask):
            output = self._model(
                input_ids=self._tensor(fed),
                attention_mask=mask,
                # drafts may point past the context; their logits are never used, but learned positions end there
                position_ids=positions.clamp(max=self._limit - 1),
                past_key_values=self.cache,
                use_cache=True,
            )
        return output.logits[: len(lengths)]  # type: ignore[no-any-return]

    @contextmanager
    def _only_at(self, rows: Sequence[int], columns: Sequence[int]) -> Iterator[None]:
        """Pass the output layer only each prompt's last position: it is a fifth of a small model's work.

        `logits_to_keep` cannot be used, because the positions differ from row to row. An interruption may leave the
        hook behind, so it does nothing by itself, and nothing twice.
        """
        hook = None
        spare = max(0, MIN_ROWS - len(rows))
        try:
            self._last = torch.tensor([*rows, *[rows[0]] * spare]), torch.tensor([*columns, *[columns[0]] * spare])
            hook = self._head.register_forward_pre_hook(self._take_last)
            yield
        finally:
            self._last = None
            if hook is not None:
                hook.remove()

    def _take_last(self, _: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        whole = inputs[0]
        return inputs if self._last is None or whole.shape[1] == 1 else (whole[self._last][:, None], *inputs[1:])


def context_length(model: Any) -> int:
    """Return the number of positions that the model has; a large number where its config names none."""
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return int(limit) if limit else 2**31


def padded_length(tokens: int, limit: int) -> int:
    """Round a prompt's length up, to no more than a model's positions."""
    return max(tokens, min(limit, -(-tokens // _PROMPT_STEP) * _PROMPT_STEP))


def pad_right(
    sequences: Sequence[Sequence[int]], device: torch.device, *, length: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack sequences, padded on the right with 0, and their mask, which is 1 where there is no padding.

    Returns:
        Token ids and mask, both [sequences, the longest or `length`], int64.
    """
    ids = torch.zeros((len(sequences), max(length, *map(len, sequences))), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids.to(device), mask.to(device)


def copy_columns(cache: Cache, name: str, row: int, end: int | None = None) -> tuple[torch.Tensor, ...]:
    """Return the first columns of a row of a prefill's `keys` or `values`, per layer."""
    return tuple(getattr(layer, name)[row, :, :end] for layer in cache.layers)
