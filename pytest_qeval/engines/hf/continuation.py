"""What a model says after texts: generated greedily, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.hf.decoders import make_decoder
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.rows import Text
from pytest_qeval.engines.hf.seq2seq import Sides
from pytest_qeval.settings import GenerationSettings

__all__ = ["completions", "continued"]

_ROWS = 32
"""Texts that are continued together."""


def continued(model: Any, text: Text, texts: Sequence[str], new_tokens: int) -> list[tuple[int, ...]]:
    """Return every text's tokens, with those that a causal model would greedily put behind them."""
    said = completions(model, text, texts, new_tokens)
    # Encoded afresh: token borders may fall otherwise where a text ends, which is one way more to say the same.
    sequences = text.encode([prompt + completion for prompt, completion in zip(texts, said, strict=True)])
    return [sequence[: context_length(model)] for sequence in sequences]


def completions(
    model: Any,
    text: Text,
    prompts: Sequence[str],
    new_tokens: int,
    *,
    continuous: bool = True,
    sides: Sides | None = None,
) -> list[str]:
    """Complete prompts greedily, without stop strings."""
    generation = GenerationSettings(max_new_tokens=new_tokens)
    decoder = make_decoder(model, text, generation, rows=_ROWS, sides=sides, continuous=continuous)
    decoder.submit([Request(key=str(at), prompt=prompt) for at, prompt in enumerate(prompts)])
    found: dict[int, str] = {}
    while decoder.progress.finished < decoder.progress.total:
        found.update({int(one.key): one.completion.text for one in decoder.step()})
    return [found[at] for at in range(len(prompts))]
