"""The model's two movements: prefill a few prompts, and advance every row of the batch by a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers.cache_utils import DynamicCache

from pytest_qeval.engines.hf.cache import Prefix, RowCache

__all__ = ["BatchCache", "BatchModel", "Prefilled", "RowModel", "context_length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """One prompt after its prefill: ready to join the batch, as often as it has samples."""

    prefix: Prefix
    logits: torch.Tensor
    """[vocabulary], of the prompt's last position: the first token is chosen from them."""


class BatchCache(Protocol):
    """Where rows join and leave; see `RowCache`."""

    def place(self, row: int, prefix: Prefix, *, capacity: int) -> None:
        """Copy a prompt into `row`, making sure that rows can grow to `capacity` tokens."""
        ...

    def move(self, source: int, target: int, *, length: int) -> None:
        """Copy the first `length` tokens of row `source` over row `target`."""
        ...


class BatchModel(Protocol):
    """What the continuous batch needs of a model."""

    @property
    def drafts(self) -> bool:
        """Whether a step may hold several tokens of a row, of which only some are kept."""
        ...

    @property
    def cache(self) -> BatchCache:
        """The rows."""
        ...

    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefilled]:
        """Run prompts of similar length together."""
        ...

    def advance(self, lengths: Sequence[int], tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Feed every row its next tokens, and give logits [rows, queries, vocabulary]."""
        ...


class RowModel:
    """A causal language model together with the cache of its rows."""

    drafts = True

    def __init__(self, model: Any, *, rows: int) -> None:
        """Take a transformers model whose layers all keep their whole cache (see `unsupported_cache`)."""
        self._model = model
        self._limit = context_length(model)
        self._head = model.get_output_embeddings()
        layers = model.config.get_text_config(decoder=True).num_hidden_layers
        self.cache = RowCache(layers=layers, rows=rows, device=model.device, dtype=model.dtype)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefilled]:
        """Run prompts of similar length together, padded on the right.

        A causal model never looks at what follows, so padding on the right needs no mask; it is cut off afterwards.
        """
        lengths = [len(prompt) for prompt in prompts]
        ids = torch.zeros((len(prompts), max(lengths)), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        cache = DynamicCache(config=self._model.config)
        with self._only_last(lengths):
            output = self._model(input_ids=ids.to(self._model.device), past_key_values=cache, use_cache=True)
        return [
            Prefilled(prefix=_cut(cache, row, length), logits=output.logits[row, -1])
            for row, length in enumerate(lengths)
        ]

    @torch.inference_mode()
    def advance(self, lengths: Sequence[int], tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Feed every row its next tokens behind its first `lengths[row]` cached ones.

        Args:
            lengths: Cached tokens of rows 0, 1, …
            tokens: Equally many tokens for each of these rows.

        Returns:
            Logits [rows, queries, vocabulary] in the model's dtype.
        """
        device = self._model.device
        positions, mask = self.cache.begin_step(lengths, queries=len(tokens[0]))
        output = self._model(
            input_ids=torch.tensor(tokens, device=device),
            attention_mask=mask,
            # drafts may point past the context; their logits are never used, but learned positions end there
            position_ids=positions.clamp(max=self._limit - 1),
            past_key_values=self.cache,
            use_cache=True,
        )
        return output.logits  # type: ignore[no-any-return]

    @contextmanager
    def _only_last(self, lengths: Sequence[int]) -> Iterator[None]:
        """Let the output layer see each prompt's last real position only: it is a fifth of a small model's work.

        `logits_to_keep` could not say it, because the positions differ from row to row.
        """
        rows = torch.arange(len(lengths))
        last = torch.tensor(lengths) - 1
        hook = self._head.register_forward_pre_hook(lambda _, args: (args[0][rows, last][:, None], *args[1:]))
        try:
            yield
        finally:
            hook.remove()


def context_length(model: Any) -> int:
    """Return the positions that the model has; a large number where its config names none."""
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return int(limit) if limit else 2**31


def _cut(cache: DynamicCache, row: int, length: int) -> Prefix:
    return Prefix(
        keys=tuple(layer.keys[row, :, :length] for layer in cache.layers),
        values=tuple(layer.values[row, :, :length] for layer in cache.layers),
        length=length,
    )
