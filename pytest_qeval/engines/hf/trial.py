"""Find out whether the continuous batch can decode a model, from its config and one tiny trial."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch

from pytest_qeval.engines.hf.cache import find_unsupported_layers
from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoder, EncoderDecoderBatchModel
from pytest_qeval.engines.hf.forward import CausalBatchModel

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_HALF_PRECISION_TOLERANCE = 0.1
"""Relative error of logits between two ways of computing the same thing in bfloat16: 0.01 to 0.03 is usual."""


_ROUNDED_TOLERANCE = 0.3
"""Where activations are rounded, a last bit can move one to the next integer. A model that the batch gets wrong is
wrong by about as much as its logits spread: 1."""


def find_fallback_reason(model: Any, encoder_decoder: EncoderDecoder | None = None, *, rounds: bool = False) -> str:
    """Return why `generate` has to decode a model; empty when the continuous batch computes what the model does.

    Weights may be quantized. Where the model `rounds` activations too, more difference is allowed.
    """
    if getattr(model, "_is_stateful", False):
        return "recurrent state instead of a key/value cache"
    if reason := find_unsupported_layers(model.config):
        return reason
    if not isinstance(model.get_output_embeddings(), torch.nn.Module):
        return "no output layer that could be found"
    try:
        error = _encoder_decoder_error(model, encoder_decoder) if encoder_decoder else _causal_error(model)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as refusal:
        return f"its forward refuses the cache ({type(refusal).__name__}: {str(refusal).splitlines()[0][:80]})"
    if error > (_ROUNDED_TOLERANCE if rounds else _TOLERANCE.get(model.dtype, _HALF_PRECISION_TOLERANCE)):
        return f"its logits differ in the continuous batch (relative error {error:.2g})"
    return ""


@torch.inference_mode()
def _causal_error(model: Any) -> float:
    """Compare prefill and two steps, of one and two tokens, of three rows with whole passes.

    Rows are of different lengths, and the first and the last one share their beginning.
    """
    whole = [token_ids(model, length) for length in (9, 6, 8)]
    logits = feed(CausalBatchModel(model, rows=3), whole, steps=(1, 2), shared=(4, 0, 4))
    return max(_relative_error(model, {"input_ids": ids}, own) for ids, own in zip(whole, logits, strict=True))


def feed(
    batch: CausalBatchModel, sequences: Sequence[Sequence[int]], *, steps: Sequence[int], shared: Sequence[int]
) -> list[torch.Tensor]:
    """Prefill sequences except for their ends, which they are then fed in steps of so many tokens.

    Of each sequence, so many first tokens are `shared` (`CausalBatchModel.prefill`).

    Returns:
        Each sequence's logits, [1 + tokens of all steps, vocabulary].
    """
    rest = sum(steps)
    prompts = [(ids[:-rest], count) for ids, count in zip(sequences, shared, strict=True)]
    groups = groupby(prompts, key=lambda prompt: batch.group(len(prompt[0])))
    prefilled = [prompt for _, group in groups for prompt in batch.prefill(*zip(*group, strict=True))]
    logits = [[prompt.logits[None]] for prompt in prefilled]
    for row, prompt in enumerate(prefilled):
        batch.cache.place(row, prompt, capacity=max(map(len, sequences)))
    for queries in steps:
        lengths = [len(ids) - rest for ids in sequences]
        fed = [ids[length : length + queries] for ids, length in zip(sequences, lengths, strict=True)]
        for parts, one in zip(logits, batch.advance(lengths, fed), strict=True):
            parts.append(one)
        rest -= queries
    return [torch.cat(parts) for parts in logits]


@torch.inference_mode()
def _encoder_decoder_error(model: Any, encoder_decoder: EncoderDecoder) -> float:
    """Compare two rows, with prompts of different lengths and one of them joining late, with whole passes."""
    prompts = [token_ids(model, length) for length in (9, 6)]
    targets = [token_ids(model, length, factor=17) for length in (4, 3)]
    batch = EncoderDecoderBatchModel(model, rows=2, both=encoder_decoder)
    prefilled = batch.prefill(prompts)
    logits = [[prompt.logits[None]] for prompt in prefilled]
    for step in range(4):
        live = range(2 if step else 1)
        if step < len(prompts):
            batch.cache.place(step, prefilled[step], capacity=16)
        fed = [[targets[row][step - row]] for row in live]
        for parts, one in zip(logits, batch.advance([step - row for row in live], fed), strict=False):
            parts.append(one)
    inputs = [
        {"input_ids": prompt, "decoder_input_ids": [*encoder_decoder.start, *target]}
        for prompt, target in zip(prompts, targets, strict=True)
    ]
    return max(_relative_error(model, one, torch.cat(own)) for one, own in zip(inputs, logits, strict=True))


def token_ids(model: Any, length: int, *, factor: int = 31) -> list[int]:
    """Return some tokens that look random."""
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    return [(factor * at + 7) % vocabulary for at in range(length)]


def _relative_error(model: Any, inputs: dict[str, list[int]], logits: torch.Tensor) -> float:
    """Return the error of the batch's logits [tokens, vocabulary] relative to the spread of the model's."""
    tensors = {name: torch.tensor([ids], device=model.device) for name, ids in inputs.items()}
    expected = model(**tensors, use_cache=False).logits[0, -len(logits) :].float()
    spread = (expected - expected.mean(dim=-1, keepdim=True)).norm()
    return float((logits.float() - expected).norm() / spread)
