"""Can the continuous batch carry this model? Decided up front, from its config and one tiny trial."""

from __future__ import annotations

from typing import Any

import torch

from pytest_qeval.engines.cache import unsupported_cache
from pytest_qeval.engines.forward import RowModel

__all__ = ["why_not_continuous"]

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_HALF_PRECISION_TOLERANCE = 0.1
"""Relative error of logits between two ways of computing the same thing in bfloat16: 0.01 to 0.03 is usual."""


def why_not_continuous(model: Any) -> str:
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
        error = _relative_error(model)
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
    rows = RowModel(model, rows=2)
    prompts = [ids[:-3] for ids in whole]
    ours = [[prompt.logits[None]] for prompt in _placed(rows, prompts)]
    for queries in (1, 2):
        lengths = [len(ids) - (3 if queries == 1 else 2) for ids in whole]
        fed = [ids[length : length + queries] for ids, length in zip(whole, lengths, strict=True)]
        for parts, logits in zip(ours, rows.advance(lengths, fed), strict=True):
            parts.append(logits)
    errors = []
    for ids, parts in zip(whole, ours, strict=True):
        reference = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0, -4:].float()
        spread = (reference - reference.mean(dim=-1, keepdim=True)).norm()
        errors.append(float((torch.cat(parts).float() - reference).norm() / spread))
    return max(errors)


def _placed(rows: RowModel, prompts: list[list[int]]) -> Any:
    prefilled = rows.prefill(prompts)
    for row, prompt in enumerate(prefilled):
        rows.cache.place(row, prompt.prefix, capacity=16)
    return prefilled
