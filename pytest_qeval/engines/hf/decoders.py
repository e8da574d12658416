"""Which decoder carries a model: the continuous batch, with or without an encoder, or else plain `generate`."""

from __future__ import annotations

from typing import Any

from pytest_qeval.engines.hf.continuous_batch import BatchShape, ContinuousBatch
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.encoder import EncoderDecoderModel
from pytest_qeval.engines.hf.forward import BatchModel, RowModel, context_length
from pytest_qeval.engines.hf.generate import GenerateQueue
from pytest_qeval.engines.hf.rows import Text
from pytest_qeval.engines.hf.seq2seq import Sides
from pytest_qeval.settings import GenerationSettings

__all__ = ["batch_model", "make_batch", "make_decoder"]


def batch_model(model: Any, *, rows: int, sides: Sides | None) -> BatchModel:
    """Put a transformers model together with the cache of its rows."""
    return EncoderDecoderModel(model, rows=rows, start=sides.start) if sides else RowModel(model, rows=rows)


def make_batch(
    model: Any, text: Text, generation: GenerationSettings, *, rows: int, sides: Sides | None
) -> ContinuousBatch:
    """Make the continuous batch, with nothing in its queue."""
    return ContinuousBatch(
        batch_model(model, rows=rows, sides=sides),
        text,
        generation,
        shape=BatchShape(rows=rows),
        context=sides.source_limit if sides else context_length(model),
        target_room=sides.target_room if sides else None,
    )


def make_decoder(
    model: Any, text: Text, generation: GenerationSettings, *, rows: int, sides: Sides | None, continuous: bool
) -> Decoder:
    """Make the continuous batch where it can carry the model, and else a queue before `generate`."""
    if continuous:
        return make_batch(model, text, generation, rows=rows, sides=sides)
    context = sides.source_limit if sides else context_length(model)
    return GenerateQueue(model, text, generation, rows=rows, context=context, sides=sides)
