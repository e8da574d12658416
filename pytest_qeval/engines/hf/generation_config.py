"""The tokens that end a completion, and what is left of a model's own generation config."""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig

from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoder
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.quantize.checkpoints.weight_files import gguf_end_tokens


def end_tokens(source: ModelSource, model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return every end-of-text token that is stated anywhere; those of the generation config first."""
    places = (model.generation_config, model.config.get_text_config(decoder=True), model.config, tokenizer)
    stated = [getattr(place, "eos_token_id", None) for place in places]
    if source.kind == "gguf" and source.path is not None:
        stated.append(gguf_end_tokens(source.path))
    lists = (ids if isinstance(ids, (list, tuple)) else [ids] for ids in stated if ids is not None)
    return tuple(dict.fromkeys(int(one) for ids in lists for one in ids))


def bare_generation_config(eos_ids: tuple[int, ...], encoder_decoder: EncoderDecoder | None) -> GenerationConfig:
    """Keep only these: penalties and sampling settings that ship with a model would change what is measured."""
    start, forced = (*encoder_decoder.start, None)[:2] if encoder_decoder else (None, None)
    return GenerationConfig(
        eos_token_id=list(eos_ids) or None,
        pad_token_id=next(iter(eos_ids), 0),
        decoder_start_token_id=start,
        forced_bos_token_id=forced,
    )
