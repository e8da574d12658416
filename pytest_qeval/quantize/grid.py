"""Symmetric integer grids: the arithmetic that native and simulated quantization share."""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["QuantizedRows", "quantize_rows"]

_SMALLEST_SCALE = torch.finfo(torch.float32).tiny
"""A row of zeros (or of denormals) gets this scale instead of one that cannot be divided by."""
_CHEAP_COPY = 2**18
"""Elements of a float32 matrix (1 MB) up to which a call costs more than a copy."""


class QuantizedRows(NamedTuple):
    """A matrix as integers and one scale per row: `matrix ≈ values * scales`."""

    values: torch.Tensor
    """int8 `[rows, columns]`, within -(2^(bits-1) - 1) … 2^(bits-1) - 1."""
    scales: torch.Tensor
    """float32 `[rows, 1]`, positive."""


def quantize_rows(matrix: torch.Tensor, *, bits: int = 8) -> QuantizedRows:
    """Round every row of a floating-point matrix `[rows, columns]` to a symmetric grid of its own.

    scale = max|row| / (2^(bits-1) - 1), value = round(row / scale): the restricted symmetric uniform quantizer of
    Krishnamoorthi, "Quantizing deep convolutional networks" (arXiv 1806.08342), section 2.2. Zero stays zero, and no
    element moves by more than half a scale. A row with NaN or infinity gets a scale that is not finite, and integers
    that mean nothing.
    """
    # One float32 copy that is then changed in place: `amax` of float32 is three times faster than that of bfloat16.
    floats = matrix.to(torch.float32, copy=True)
    scales = _largest(floats).div_(2 ** (bits - 1) - 1).clamp_min_(_SMALLEST_SCALE)
    return QuantizedRows(floats.div_(scales).round_().to(torch.int8), scales)


def _largest(floats: torch.Tensor) -> torch.Tensor:
    """Give every row's largest magnitude: in two calls, or without the page faults of another large copy."""
    if floats.numel() <= _CHEAP_COPY:
        return floats.abs().amax(-1, keepdim=True)
    return torch.maximum(floats.amax(-1, keepdim=True), floats.amin(-1, keepdim=True).neg_())
