"""Encoder-decoder models: what the decoder starts with, how long both sides may be, and their forward passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from pytest_qeval.engines.hf.aligned_cache import AlignedCache
from pytest_qeval.engines.hf.cache import Prefilled
from pytest_qeval.engines.hf.forward import context_length, copy_columns, pad_right, padded_length
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.measure.divergence import ScoredText

_UNLIMITED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderDecoder:
    """Start tokens and lengths of an encoder-decoder model."""

    start: tuple[int, ...]
    """What the decoder begins with: its start token, and a language code that is forced."""
    source_limit: int
    """Positions of the encoder; a large number where they are relative, as in T5."""
    target_limit: int
    """Positions of the decoder, `start` included."""

    @property
    def target_room(self) -> int:
        """Tokens that the decoder may generate."""
        return max(0, self.target_limit - len(self.start))

    def tokenize_solution(self, tokenizer: Any, prompt: str, solution: str) -> ScoredText:
        """Pass a prompt to the encoder and its solution to the decoder, as the model was trained to see them.

        The solution keeps the special tokens that its tokenizer puts in front of it (CodeT5's decoder generates `<s>`
        first), which do not count; those at its end are left out, as for other models. A prompt that is longer than
        the encoder leaves nothing that counts.
        """
        source = tokenizer(prompt).input_ids
        target = _target_ids(tokenizer, solution)
        common = next((n for n in range(len(self.start), 0, -1) if tuple(target[:n]) == self.start[-n:]), 0)
        target = target[common:][: self.target_room] if len(source) <= self.source_limit else []
        special = frozenset(tokenizer.all_special_ids)
        counted = (*[False] * len(self.start), *[token not in special for token in target])
        return ScoredText(
            token_ids=(*self.start, *target), counted=counted, source_ids=tuple(source[: self.source_limit])
        )


def encoder_decoder_of(model: Any, tokenizer: Any) -> EncoderDecoder | None:
    """Describe an encoder-decoder model; None for a model without an encoder.

    Raises:
        ModelSourceError: when neither config nor tokenizer names a start token of the decoder.
    """
    config = model.config
    if not getattr(config, "is_encoder_decoder", False):
        return None
    start = _start(model, tokenizer)
    source = getattr(getattr(config, "encoder", config), "max_position_embeddings", None)
    stated = getattr(config, "max_encoder_position_embeddings", None) or source
    target = getattr(config, "max_decoder_position_embeddings", None) or context_length(model)
    return EncoderDecoder(start=start, source_limit=stated or _UNLIMITED, target_limit=target)


def _start(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Look where `generate` looks, then at the target language of PLBART's tokenizer, then for a token that begins."""
    configs = (model.generation_config, model.config)
    language = getattr(tokenizer, "tgt_lang", None)
    starts = (
        *(getattr(config, "decoder_start_token_id", None) for config in configs),
        tokenizer.convert_tokens_to_ids(language) if language else None,
        tokenizer.bos_token_id,
    )
    start = next(_ids(starts), None)
    if start is None:
        raise ModelSourceError(
            f"the decoder of this {type(model).__name__} has no start token: its config.json needs a "
            "`decoder_start_token_id`."
        )
    forced = next(_ids(getattr(config, "forced_bos_token_id", None) for config in configs), None)
    return (start,) if forced is None else (start, forced)


def _ids(stated: Iterable[Any]) -> Iterator[int]:
    return (int(value) for value in stated if value is not None)


def _target_ids(tokenizer: Any, text: str) -> list[int]:
    """Tokenize a decoder's text without the special tokens at its end."""
    ids: list[int] = list(tokenizer(text_target=text).input_ids)
    special = frozenset(tokenizer.all_special_ids)
    while ids and ids[-1] in special:
        ids.pop()
    return ids


class EncoderDecoderBatchModel:
    """A model with an encoder together with the caches of its rows; see `CausalBatchModel` for one without."""

    supports_drafts = False
    """Rows stay aligned only if all of them advance by the same number of tokens."""
    shares_prefixes = False
    """An encoder's tokens attend to later ones, too."""

    def __init__(self, model: Any, *, rows: int, both: EncoderDecoder) -> None:
        """Take a transformers model, and how its decoder begins."""
        self._model = model
        self._start, self._source_limit = both.start, both.source_limit
        self._width = model.get_input_embeddings().embedding_dim
        self._positions = getattr(model.get_decoder(), "embed_positions", None)
        self._rows_positions: torch.Tensor | None = None
        self.cache = AlignedCache(rows=rows, device=model.device)

    def padded_length(self, tokens: int) -> int:
        """Return how many tokens a prompt takes in a prefill."""
        return padded_length(tokens, self._source_limit)

    def group(self, tokens: int) -> int:
        """Return a number that prompts have in common if they may be encoded together."""
        return self.padded_length(tokens)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> list[Prefilled]:
        """Encode prompts of one padded length together and run the decoder's start tokens."""
        del shared
        ids, mask = pad_right(prompts, self._model.device, length=self.padded_length(max(map(len, prompts))))
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        start = torch.tensor([self._start] * len(prompts), device=self._model.device)
        output = self._model(
            input_ids=ids, attention_mask=mask, decoder_input_ids=start, past_key_values=cache, use_cache=True
        )
        own, cross = cache.self_attention_cache, cache.cross_attention_cache
        return [
            Prefilled(
                keys=copy_columns(own, "keys", row),
                values=copy_columns(own, "values", row),
                length=len(prompt),
                cross_keys=copy_columns(cross, "keys", row, end=len(prompt)),
                cross_values=copy_columns(cross, "values", row, end=len(prompt)),
                logits=output.logits[row, -1],
            )
            for row, prompt in enumerate(prompts)
        ]

    @torch.inference_mode()
    def advance(self, lengths: Sequence[int], tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Feed every row its next token; see `CausalBatchModel.advance`. The cache knows the rows' lengths.

        Returns:
            Logits [rows, 1, vocabulary] in the model's dtype.
        """
        device = self._model.device
        step = self.cache.begin_step(len(lengths))
        # Only the shape of the encoder's output is used: its keys and values are in the cache.
        encoded = torch.zeros(1, dtype=self._model.dtype, device=device).expand(*step.encoder_mask.shape, self._width)
        with self._set_positions(step.positions):
            output = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
                attention_mask=step.encoder_mask.long(),
                decoder_input_ids=torch.tensor(tokens, device=device),
                decoder_attention_mask=step.decoder_mask.long(),
                past_key_values=step.cache,
                use_cache=True,
            )
        return output.logits  # type: ignore[no-any-return]

    @contextmanager
    def _set_positions(self, positions: torch.Tensor) -> Iterator[None]:
        """Set every row's own position where positions are absolute, and counted by the model for all rows alike.

        The position embedding is called once with all rows' positions, and its result is dealt out to the rows. An
        interruption may leave a hook behind, so hooks do nothing by themselves.
        """
        hooks = []
        try:
            self._rows_positions = positions
            if self._positions is not None:
                hooks.append(self._positions.register_forward_pre_hook(self._give_positions, with_kwargs=True))
                hooks.append(self._positions.register_forward_hook(self._deal_out))
            yield
        finally:
            self._rows_positions = None
            for hook in hooks:
                hook.remove()

    def _give_positions(self, _: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        positions = self._rows_positions
        return args, kwargs if positions is None else {**kwargs, "position_ids": positions}

    def _deal_out(self, _: torch.nn.Module, __: Any, found: torch.Tensor) -> torch.Tensor:
        positions = self._rows_positions
        return found if positions is None else found.reshape(len(positions), 1, -1)
