"""Quantize the inputs of a layer: per token or per tensor, with dynamic or calibrated scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from pytest_qeval.quantize.kernels.grid import QuantizedRows, affine_scale, quantize_rows, round_rows, symmetric_scale
from pytest_qeval.quantize.recipe import ActivationScheme

_Round = Callable[[torch.Tensor], QuantizedRows]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRange:
    """The range that a layer's inputs are clipped to, found by calibration."""

    low: float
    """At most 0; minus `high` for a symmetric grid."""
    high: float
    """At least 0."""

    def grid(self, scheme: ActivationScheme) -> tuple[float, int | None]:
        """Return the scale, a float32, and the zero point, None for a symmetric grid."""
        scale, offset = _grid(torch.tensor([self.low]), torch.tensor([self.high]), scheme)
        return float(scale), None if offset is None else int(offset)


class ActivationQuantizer:
    """A scheme, together with the calibrated range if the scheme is static."""

    def __init__(self, scheme: ActivationScheme, static: StaticRange | None = None) -> None:
        """Take a scheme, and a range if and only if the scheme is static."""
        assert scheme.dynamic == (static is None)  # noqa: S101 - the caller has calibrated
        self.scheme = scheme
        self.static = static
        self._fixed: _Round | None = None
        if static is not None:
            self._fixed = self._between(torch.tensor([[static.low]]), torch.tensor([[static.high]]))

    def prepare(self, rows: torch.Tensor) -> _Round:
        """Return a function that rounds any part of `rows` `[rows, columns]`, after computing what all rows share.

        The integers of a dynamic per_tensor scheme depend on all rows that are multiplied together. NaN and infinity
        make dynamic scales that are not finite; a static scheme clips infinity, and NaN has no meaning.
        """
        if self._fixed is not None:
            return self._fixed
        bits = self.scheme.bits
        if self.scheme.granularity == "per_tensor":
            low, high = (extreme.float().reshape(1, 1) for extreme in torch.aminmax(rows))
            return self._between(low, high)
        if self.scheme.symmetric:
            return lambda part: quantize_rows(part, bits=bits)
        return lambda part: _quantize_rows_affine(part, bits=bits)

    def _between(self, low: torch.Tensor, high: torch.Tensor) -> _Round:
        scale, offset = _grid(low, high, self.scheme)

        def quantize(part: torch.Tensor) -> QuantizedRows:
            shift = None if offset is None else offset.to(part.device)
            return round_rows(part, scale.to(part.device), shift, bits=self.scheme.bits)

        return quantize


def _grid(low: torch.Tensor, high: torch.Tensor, scheme: ActivationScheme) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return scale and zero point (None for a symmetric grid), float32 in the shape of `low` and `high`."""
    if scheme.symmetric:
        return symmetric_scale(torch.maximum(high, -low), bits=scheme.bits), None
    return affine_scale(low, high, bits=scheme.bits)


def _quantize_rows_affine(rows: torch.Tensor, *, bits: int) -> QuantizedRows:
    low, high = (extreme.float() for extreme in torch.aminmax(rows, dim=-1, keepdim=True))
    return round_rows(rows, *affine_scale(low, high, bits=bits), bits=bits)
