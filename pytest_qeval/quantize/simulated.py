"""Simulated quantization: weights rounded to an integer grid and kept in floating point.

What the model answers is that of the quantized model, so accuracy is valid; its speed and its size are not, since the
matrix products stay in floating point. Schemes without a fast kernel are evaluated like this.
"""

from __future__ import annotations

import torch

from pytest_qeval.quantize.grid import quantize_rows
from pytest_qeval.quantize.recipe import WeightScheme

__all__ = ["packed_bytes", "round_weight"]


def round_weight(weight: torch.Tensor, scheme: WeightScheme) -> torch.Tensor:
    """Round a weight `[out_features, in_features]` to the scheme's grid; shape and dtype stay.

    The result is `integer * scale`, rounded once more to the weight's own dtype.
    """
    integers, scales = quantize_rows(weight, bits=scheme.bits)
    return (integers * scales).to(weight.dtype)


def packed_bytes(weight: torch.Tensor, scheme: WeightScheme) -> int:
    """Count the bytes that the weight would need in packed storage: its integers, and a float32 scale per channel."""
    return -(-weight.numel() * scheme.bits // 8) + 4 * weight.shape[0]
