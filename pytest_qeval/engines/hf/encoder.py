"""The two movements of an encoder-decoder model: read a few prompts, and let every row of the batch say one more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from pytest_qeval.engines.hf.aligned import AlignedCache
from pytest_qeval.engines.hf.cache import Prefix
from pytest_qeval.engines.hf.forward import Prefilled

__all__ = ["EncoderDecoderModel", "padded"]


class EncoderDecoderModel:
    """A model with an encoder, together with the caches of its rows; see `RowModel` for one without."""

    drafts = False
    """Rows stay aligned only if all of them advance by the same number of tokens."""

    def __init__(self, model: Any, *, rows: int, start: Sequence[int]) -> None:
        """Take a transformers model and what its decoder begins with."""
        self._model = model
        self._start = tuple(start)
        self._width = model.get_input_embeddings().embedding_dim
        self._positions = getattr(model.get_decoder(), "embed_positions", None)
        self.cache = AlignedCache(rows=rows, device=model.device)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefilled]:
        """Encode prompts of similar length together, and let the decoder begin: its first token is chosen from that."""
        ids, real = padded(prompts, self._model.device)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        start = torch.tensor([self._start] * len(prompts), device=self._model.device)
        output = self._model(
            input_ids=ids, attention_mask=real, decoder_input_ids=start, past_key_values=cache, use_cache=True
        )
        return [
            Prefilled(prefix=_cut(cache, row, len(prompt)), logits=output.logits[row, -1])
            for row, prompt in enumerate(prompts)
        ]

    @torch.inference_mode()
    def advance(self, lengths: Sequence[int], tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Feed every row its next token; see `RowModel.advance`. How long rows are is known to the cache.

        Returns:
            Logits [rows, 1, vocabulary] in the model's dtype.
        """
        device = self._model.device
        cache, positions, said, read = self.cache.begin_step(len(lengths))
        # Only the shape of the encoder's output is looked at: keys and values were made of it once and for all.
        encoded = torch.zeros(1, dtype=self._model.dtype, device=device).expand(*read.shape, self._width)
        with self._placed(positions):
            output = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
                attention_mask=read.long(),
                decoder_input_ids=torch.tensor(tokens, device=device),
                decoder_attention_mask=said.long(),
                past_key_values=cache,
                use_cache=True,
            )
        return output.logits  # type: ignore[no-any-return]

    @contextmanager
    def _placed(self, positions: torch.Tensor) -> Iterator[None]:
        """Return every row its own position where they are absolute, and counted by the model for all rows alike.

        Its embedding is asked for one position after the other, and the answer is dealt out to the rows.
        """
        if self._positions is None:
            yield
            return
        hooks = [
            self._positions.register_forward_pre_hook(
                lambda _, args, kwargs: (args, {**kwargs, "position_ids": positions}), with_kwargs=True
            ),
            self._positions.register_forward_hook(lambda _, __, found: found.reshape(len(positions), 1, -1)),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def padded(sequences: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Put sequences below each other, padded on the right, and mark what is no padding: both [rows, longest], int64."""
    ids = torch.zeros((len(sequences), max(map(len, sequences))), dtype=torch.long)
    real = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        real[row, : len(sequence)] = 1
    return ids.to(device), real.to(device)


def _cut(cache: EncoderDecoderCache, row: int, length: int) -> Prefix:
    said, read = cache.self_attention_cache, cache.cross_attention_cache
    return Prefix(
        keys=_rows(said, "keys", row),
        values=_rows(said, "values", row),
        length=length,
        cross_keys=_rows(read, "keys", row, length),
        cross_values=_rows(read, "values", row, length),
    )


def _rows(cache: Cache, name: str, row: int, length: int | None = None) -> tuple[torch.Tensor, ...]:
    return tuple(getattr(layer, name)[row, :, :length] for layer in cache.layers)
