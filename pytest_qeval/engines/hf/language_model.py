"""A transformers model in memory, with its tokenizer and what decoding has to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoder
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.rounding_cache import RoundingDynamicCache
from pytest_qeval.engines.hf.rows import TokenCodec
from pytest_qeval.quantize.recipe import CacheScheme


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """A model and its tokenizer."""

    model: Any
    tokenizer: Any
    eos_ids: tuple[int, ...]
    """Tokens that end a sequence, from the model's generation config, its config or its tokenizer."""
    encoder_decoder: EncoderDecoder | None = None
    """Start tokens and lengths of a model with an encoder; None for a causal model."""
    fallback_reason: str = ""
    """Why `generate` decodes the model instead of the continuous batch; empty when the batch can."""
    cache_scheme: CacheScheme | None = None
    """How keys and values are quantized; None for not at all."""

    def new_cache(self) -> RoundingDynamicCache | None:
        """Return the cache to run the model with; None leaves that to the model."""
        if self.cache_scheme is None:
            return None
        return RoundingDynamicCache(scheme=self.cache_scheme, config=self.model.config)

    @property
    def codec(self) -> TokenCodec:
        """The conversion between text and tokens."""
        return TokenCodec(self.tokenizer, self.eos_ids, encoder_decoder=self.encoder_decoder is not None)

    def completion_room(self, prompt_tokens: int) -> int:
        """Return how many tokens can be generated for a prompt of this length; 0 or less where it does not fit."""
        if self.encoder_decoder is None:
            return context_length(self.model) - prompt_tokens
        return self.encoder_decoder.target_room if prompt_tokens <= self.encoder_decoder.source_limit else 0
