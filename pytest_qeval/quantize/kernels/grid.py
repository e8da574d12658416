"""Integer grids for activations: the arithmetic that native and simulated quantization share."""

from __future__ import annotations

from typing import NamedTuple

import torch

SMALLEST_SCALE = torch.finfo(torch.float32).tiny
"""The scale of a row of zeros (or of denormals), by which values can still be divided."""
_CHEAP_COPY = 2**18
"""Elements of a float32 matrix (1 MB) up to which a call costs more than a copy."""


class QuantizedRows(NamedTuple):
    """A matrix as integers: `matrix ≈ (values - offsets) * scales`."""

    values: torch.Tensor
    """int8 `[rows, columns]`; symmetric grids of b bits use -(2^(b-1) - 1) … 2^(b-1) - 1, others one value more."""
    scales: torch.Tensor
    """float32 `[rows, 1]`, or `[1, 1]` for the whole matrix; positive."""
    offsets: torch.Tensor | None = None
    """float32, shaped like `scales`: the integer that stands for zero; None for symmetric grids."""

    def dequantize(self) -> torch.Tensor:
        """Return the float32 matrix that the integers stand for."""
        floats = self.values.float()
        return floats.sub_(self.offsets).mul_(self.scales) if self.offsets is not None else floats.mul_(self.scales)


def quantize_rows(matrix: torch.Tensor, *, bits: int = 8) -> QuantizedRows:
    """Round every row of a floating-point matrix `[rows, columns]` to a symmetric grid of its own.

    scale = max|row| / (2^(bits-1) - 1), value = round(row / scale): the restricted symmetric uniform quantizer of
    Krishnamoorthi, "Quantizing deep convolutional networks" (arXiv 1806.08342), section 2.2. Zero stays zero, and no
    element moves by more than half a scale. A row with NaN or infinity gets a scale that is not finite and integers
    without meaning.
    """
    # One float32 copy, changed in place: `amax` of float32 is three times faster than that of bfloat16.
    floats = matrix.to(torch.float32, copy=True)
    scales = symmetric_scale(_largest(floats), bits=bits)
    return QuantizedRows(floats.div_(scales).round_().to(torch.int8), scales)


def symmetric_scale(largest: torch.Tensor, *, bits: int) -> torch.Tensor:
    """Return the scale of the grid -(2^(bits-1) - 1) … 2^(bits-1) - 1 over magnitudes up to `largest`."""
    return largest.div(2 ** (bits - 1) - 1).clamp_min_(SMALLEST_SCALE)


def affine_scale(low: torch.Tensor, high: torch.Tensor, *, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and zero point of the grid -2^(bits-1) … 2^(bits-1) - 1 over `low` … `high`.

    The asymmetric quantizer of Krishnamoorthi (arXiv 1806.08342), section 2.1: the range is widened to contain zero,
    and zero falls on an integer. Shapes are those of the arguments, which are float32.
    """
    low, high = low.clamp_max(0.0), high.clamp_min(0.0)
    # Halves first: the span of a row between -3e38 and 3e38 is not a float32.
    scale = (high / 2 - low / 2).div_((2**bits - 1) / 2).clamp_min_(SMALLEST_SCALE)
    offset = (-(2 ** (bits - 1)) - low / scale).round_()
    return scale, offset


def round_rows(
    matrix: torch.Tensor, scales: torch.Tensor, offsets: torch.Tensor | None = None, *, bits: int
) -> QuantizedRows:
    """Round a matrix `[rows, columns]` with given scales and offsets; values beyond the grid are clipped to it."""
    floats = matrix.to(torch.float32, copy=True).div_(scales).round_()
    last = 2 ** (bits - 1) - 1
    floats = floats.clamp_(-last, last) if offsets is None else floats.add_(offsets).clamp_(-last - 1, last)
    return QuantizedRows(floats.to(torch.int8), scales, offsets)


def _largest(floats: torch.Tensor) -> torch.Tensor:
    """Return every row's largest magnitude, avoiding the page faults of another copy of a large matrix."""
    if floats.numel() <= _CHEAP_COPY:
        return floats.abs().amax(-1, keepdim=True)
    return torch.maximum(floats.amax(-1, keepdim=True), floats.amin(-1, keepdim=True).neg_())
