"""Make the decoder that fits a model, and complete prompts with it at once."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval.engines.base import FinishedCompletion, Request
from pytest_qeval.engines.hf.continuous_batch import BatchShape, ContinuousBatch
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.generate import GenerateQueue
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.settings import GenerationSettings

_ROWS = 32
"""Texts that are completed together."""


def make_decoder(language_model: LanguageModel, generation: GenerationSettings, *, rows: int) -> Decoder:
    """Make the continuous batch, or a queue for `generate` where the batch cannot decode the model."""
    if language_model.fallback_reason:
        return GenerateQueue(language_model, generation, rows=rows)
    return ContinuousBatch(language_model, generation, shape=BatchShape(rows=rows))


def complete(language_model: LanguageModel, prompts: Sequence[str], new_tokens: int) -> list[str]:
    """Complete prompts greedily, without stop strings; one that the model cannot complete gets an empty text."""
    decoder = make_decoder(language_model, GenerationSettings(max_new_tokens=new_tokens), rows=_ROWS)
    decoder.submit([Request(key=str(at), prompt=prompt) for at, prompt in enumerate(prompts)])
    found: dict[int, str] = {}
    while decoder.progress.finished < decoder.progress.total:
        done = (one for one in decoder.step() if isinstance(one, FinishedCompletion))
        found.update({int(one.key): one.completion.text for one in done})
    return [found.get(at, "") for at in range(len(prompts))]


def continue_texts(language_model: LanguageModel, texts: Sequence[str], new_tokens: int) -> list[tuple[int, ...]]:
    """Return the tokens of every text and of its greedy continuation by a causal model, cut at the context."""
    completions = complete(language_model, texts, new_tokens)
    # Encoded as a whole: token borders may fall otherwise where a text ends.
    sequences = language_model.codec.encode([text + one for text, one in zip(texts, completions, strict=True)])
    return [sequence[: context_length(language_model.model)] for sequence in sequences]
