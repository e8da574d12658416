"""Can the continuous batch carry this model? Decided up front, from its config and one tiny trial."""

from __future__ import annotations

from typing import Any

import torch

from pytest_qeval.engines.hf.cache import unsupported_cache
from pytest_qeval.engines.hf.decoders import batch_model
from pytest_qeval.engines.hf.forward import BatchModel
from pytest_qeval.engines.hf.seq2seq import Sides

__all__ = ["why_not_continuous"]

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_HALF_PRECISION_TOLERANCE = 0.1
"""Relative error of logits between two ways of computing the same thing in bfloat16: 0.01 to 0.03 is usual."""


def why_not_continuous(model: Any, sides: Sides | None = None) -> str:
    """Say why a model has to fall back to `generate`; empty when the continuous batch computes what the model does.

    Asked before quantization, whose rounding would blur the comparison.
    """
    config = model.config
    if getattr(model, "_is_stateful", False):
        return "recurrent state instead of a key/value cache"
    if reason := unsupported_cache(config):
        return reason
    if not isinstance(model.get_output_embeddings(), torch.nn.Module):
        return "no output layer that could be found"
    try:
        error = _two_sided_error(model, sides) if sides else _relative_error(model)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as refusal:
        return f"its forward refuses the cache ({type(refusal).__name__}: {str(refusal).splitlines()[0][:80]})"
    if error > _TOLERANCE.get(model.dtype, _HALF_PRECISION_TOLERANCE):
        return f"its logits differ in the continuous batch (relative error {error:.2g})"
    return ""


@torch.inference_mode()
def _relative_error(model: Any) -> float:
    """Compare prefill and two steps of two rows of different lengths with whole forward passes."""
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    whole = [[(31 * at + 7) % vocabulary for at in range(length)] for length in (9, 6)]
    rows = batch_model(model, rows=2, sides=None)
    prompts = [ids[:-3] for ids in whole]
    ours = [[prompt.logits[None]] for prompt in _placed(rows, prompts)]
    for queries in (1, 2):
        lengths = [len(ids) - (3 if queries == 1 else 2) for ids in whole]
        fed = [ids[length : length + queries] for ids, length in zip(whole, lengths, strict=True)]
        for parts, logits in zip(ours, rows.advance(lengths, fed), strict=True):
            parts.append(logits)
    errors = []
    for ids, parts in zip(whole, ours, strict=True):
        reference = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0, -4:]
        errors.append(_distance(torch.cat(parts), reference))
    return max(errors)


@torch.inference_mode()
def _two_sided_error(model: Any, sides: Sides) -> float:
    """Compare two rows, of prompts of different lengths and one of them late, with whole forward passes."""
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    prompts = [[(31 * at + 7) % vocabulary for at in range(length)] for length in (9, 6)]
    said = [[(17 * at + 5) % vocabulary for at in range(length)] for length in (4, 3)]
    rows = batch_model(model, rows=2, sides=sides)
    prefilled = rows.prefill(prompts)
    ours = [[prompt.logits[None]] for prompt in prefilled]
    for step in range(4):
        live = range(2 if step else 1)
        if step < len(prompts):
            rows.cache.place(step, prefilled[step].prefix, capacity=16)
        fed = [[said[row][step - row]] for row in live]
        for parts, logits in zip(ours, rows.advance([step - row for row in live], fed), strict=False):
            parts.append(logits)
    errors = []
    for prompt, answer, parts in zip(prompts, said, ours, strict=True):
        source, shown = (torch.tensor([ids], device=model.device) for ids in (prompt, [*sides.start, *answer]))
        reference = model(input_ids=source, decoder_input_ids=shown, use_cache=False).logits[0, -len(answer) - 1 :]
        errors.append(_distance(torch.cat(parts), reference))
    return max(errors)


def _distance(logits: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the error of logits [tokens, vocabulary], relative to how far they spread."""
    wanted = reference.float()
    spread = (wanted - wanted.mean(dim=-1, keepdim=True)).norm()
    return float((logits.float() - wanted).norm() / spread)


def _placed(rows: BatchModel, prompts: list[list[int]]) -> Any:
    prefilled = rows.prefill(prompts)
    for row, prompt in enumerate(prefilled):
        rows.cache.place(row, prompt.prefix, capacity=16)
    return prefilled
