"""What is different where prompts go to an encoder: what the decoder begins with, and how long both sides may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.measure.divergence import ScoredText

__all__ = ["Sides", "sides_of"]

_UNLIMITED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The two sides of an encoder-decoder model."""

    start: tuple[int, ...]
    """What the decoder begins with before it says anything: its start token, and a language code that is forced."""
    source_limit: int
    """Positions of the encoder; a large number where they are relative, as T5's."""
    target_limit: int
    """Positions of the decoder, `start` included."""

    @property
    def target_room(self) -> int:
        """Tokens that the decoder may say."""
        return max(0, self.target_limit - len(self.start))

    def solved(self, tokenizer: Any, prompt: str, solution: str) -> ScoredText:
        """Return a prompt to the encoder and its solution to the decoder, as the model was trained to see them.

        The solution keeps the special tokens that its tokenizer puts in front of it (CodeT5's decoder says `<s>`
        first), which do not count; those at its end are left away, as for other models. A prompt that the encoder has
        no room for leaves nothing that counts.
        """
        source = tokenizer(prompt).input_ids
        said = _target_ids(tokenizer, solution)
        common = next((n for n in range(len(self.start), 0, -1) if tuple(said[:n]) == self.start[-n:]), 0)
        said = said[common:][: self.target_room] if len(source) <= self.source_limit else []
        special = frozenset(tokenizer.all_special_ids)
        counted = (*[False] * len(self.start), *[token not in special for token in said])
        return ScoredText(
            token_ids=(*self.start, *said), counted=counted, source_ids=tuple(source[: self.source_limit])
        )


def sides_of(model: Any, tokenizer: Any) -> Sides | None:
    """Describe an encoder-decoder; None for a model without an encoder.

    Raises:
        ModelSourceError: when nothing says what its decoder begins with.
    """
    config = model.config
    if not getattr(config, "is_encoder_decoder", False):
        return None
    start = _start(model, tokenizer)
    source = getattr(getattr(config, "encoder", config), "max_position_embeddings", None)
    stated = getattr(config, "max_encoder_position_embeddings", None) or source
    target = getattr(config, "max_decoder_position_embeddings", None) or context_length(model)
    return Sides(start=start, source_limit=stated or _UNLIMITED, target_limit=target)


def _start(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Look where `generate` looks, then at the target language of PLBART's tokenizer, then for a token that begins."""
    stated = (model.generation_config, model.config)
    language = getattr(tokenizer, "tgt_lang", None)
    starts = (
        *(getattr(config, "decoder_start_token_id", None) for config in stated),
        tokenizer.convert_tokens_to_ids(language) if language else None,
        tokenizer.bos_token_id,
    )
    start = next(_ids(starts), None)
    if start is None:
        raise ModelSourceError(
            f"nothing says what the decoder of this {type(model).__name__} begins with: its config.json needs a "
            "`decoder_start_token_id`."
        )
    forced = next(_ids(getattr(config, "forced_bos_token_id", None) for config in stated), None)
    return (start,) if forced is None else (start, forced)


def _ids(stated: Iterable[Any]) -> Iterator[int]:
    return (int(value) for value in stated if value is not None)


def _target_ids(tokenizer: Any, text: str) -> list[int]:
    """Tokenize what a decoder says, without the special tokens at its end."""
    ids: list[int] = list(tokenizer(text_target=text).input_ids)
    special = frozenset(tokenizer.all_special_ids)
    while ids and ids[-1] in special:
        ids.pop()
    return ids
