"""Forward passes of a causal model in the continuous batch: prefill a few prompts, and advance every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache

from pytest_qeval.engines.hf.attention import attends_in_packs, packed
from pytest_qeval.engines.hf.cache import MIN_ROWS, Prefilled, RowCache

_PROMPT_STEP = 64
"""Tokens to a multiple of which a prompt is padded where prompts are not packed, so that its sums have the same parts
beside any other."""
_LEAST_PACK = 64
"""Tokens of a pack at least: more than `FEW_TOKENS`."""


class CausalBatchModel:
    """A causal language model together with the cache of its rows."""

    supports_drafts = True
    """Whether a step may hold several tokens of a row, of which only some are kept."""

    def __init__(self, model: Any, *, rows: int) -> None:
        """Take a transformers model whose layers all keep their whole cache (see `find_unsupported_layers`)."""
        self._model = model
        self._limit = context_length(model)
        self._head = model.get_output_embeddings()
        self._packs = attends_in_packs(model)
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        layers = model.config.get_text_config(decoder=True).num_hidden_layers
        self.cache = RowCache(layers=layers, rows=rows, device=model.device, dtype=model.dtype)

    def padded_length(self, tokens: int) -> int:
        """Return how many tokens a prompt takes in a prefill."""
        return tokens if self._packs else padded_length(tokens, self._limit)

    def group(self, tokens: int) -> int:
        """Return a number that prompts have in common if they may be prefilled together."""
        return 0 if self._packs else self.padded_length(tokens)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefilled]:
        """Run prompts of one group together: one behind the other in one row, or as rows of one padded length."""
        lengths = [len(prompt) for prompt in prompts]
        cache = DynamicCache(config=self._model.config)
        if self._packs:
            starts = [0, *accumulate(lengths)][:-1]
            logits = self._run_packed(prompts, lengths, cache)
            places = [(0, start, start + length) for start, length in zip(starts, lengths, strict=True)]
        else:
            logits = self._run_padded(prompts, lengths, cache)
            places = [(row, 0, length) for row, length in enumerate(lengths)]
        return [
            Prefilled(
                keys=copy_columns(cache, "keys", *place),
                values=copy_columns(cache, "values", *place),
                length=length,
                logits=logits[at, -1],
            )
            for at, (place, length) in enumerate(zip(places, lengths, strict=True))
        ]

    def _run_packed(self, prompts: Sequence[Sequence[int]], lengths: list[int], cache: Cache) -> torch.Tensor:
        """Return the logits of prompts that stand one behind the other, without padding, [prompts, 1, vocabulary]."""
        filling = max(0, _LEAST_PACK - sum(lengths))  # a row as short as a decoding step would be multiplied as one
        all_lengths = [*lengths, filling] if filling else lengths
        ids = [*chain.from_iterable(prompts), *[0] * filling]
        positions = [*chain.from_iterable(map(range, all_lengths))]
        ends = [end - 1 for end in accumulate(lengths)]
        with self._only_at([0] * len(ends), ends), packed(all_lengths):
            output = self._model(
                input_ids=self._tensor([ids]),
                position_ids=self._tensor([positions]),
                attention_mask=self._any_mask(len(ids)),
                past_key_values=cache,
                use_cache=True,
            )
        return output.logits  # type: ignore[no-any-return]

    def _run_padded(self, prompts: Sequence[Sequence[int]], lengths: list[int], cache: Cache) -> torch.Tensor:
        """Return the logits of prompts that are padded on the right, [prompts, 1, vocabulary].

        A causal model never attends to later tokens, so this padding needs no mask; it is cut off afterwards.
        """
        ids, _ = pad_right(prompts, self._model.device, length=self.padded_length(max(lengths)))
        with self._only_at(range(len(lengths)), [length - 1 for length in lengths]):
            output = self._model(input_ids=ids, past_key_values=cache, use_cache=True)
        return output.logits  # type: ignore[no-any-return]

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


def copy_columns(cache: Cache, name: str, row: int, start: int = 0, end: int | None = None) -> tuple[torch.Tensor, ...]:
    """Return some columns of a row of a prefill's `keys` or `values`, per layer."""
    return tuple(getattr(layer, name)[row, :, start:end] for layer in cache.layers)
