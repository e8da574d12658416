"""How the inputs of a layer become integers: per token or per tensor, as they come or as calibration has seen them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from pytest_qeval.quantize.kernels.grid import SMALLEST_SCALE, QuantizedRows, affine_scale, quantize_rows, round_rows
from pytest_qeval.quantize.recipe import ActivationScheme

__all__ = ["ActivationQuantizer", "StaticRange"]

_Round = Callable[[torch.Tensor], QuantizedRows]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRange:
    """What a layer's inputs are clipped to, found by calibration."""

    low: float
    """At most 0; minus `high` for a symmetric grid."""
    high: float
    """At least 0."""

    def grid(self, scheme: ActivationScheme) -> tuple[float, int | None]:
        """Return scale and zero point (None for a symmetric grid); the scale is a float32."""
        low, high = torch.tensor([self.low]), torch.tensor([self.high])
        if scheme.symmetric:
            scale = torch.maximum(high, -low).div_(2 ** (scheme.bits - 1) - 1).clamp_min_(SMALLEST_SCALE)
            return float(scale), None
        scale, offset = affine_scale(low, high, bits=scheme.bits)
        return float(scale), int(offset)


class ActivationQuantizer:
    """A scheme, and the range that calibration has found where the scheme is static."""

    def __init__(self, scheme: ActivationScheme, static: StaticRange | None = None) -> None:
        """Join them; `static` is given if and only if the scheme is static."""
        assert scheme.dynamic == (static is None)  # noqa: S101 - the caller has calibrated what has to be
        self.scheme = scheme
        self.static = static
        self._fixed: _Round | None = None
        if static is not None:
            scale, offset = static.grid(scheme)
            self._fixed = self._with(
                torch.tensor([[scale]]), None if offset is None else torch.tensor([[float(offset)]])
            )

    def prepare(self, rows: torch.Tensor) -> _Round:
        """Return what rounds any part of `rows` `[rows, columns]`; what all rows share is computed here, once.

        The integers of a dynamic per_tensor scheme depend on all rows that are multiplied together. NaN and infinity
        make scales that are not finite where scales are dynamic; a static scheme clips infinity, and NaN means nothing.
        """
        if self._fixed is not None:
            return self._fixed
        bits = self.scheme.bits
        if self.scheme.granularity == "per_token":
            if self.scheme.symmetric:
                return lambda part: quantize_rows(part, bits=bits)
            return lambda part: _quantize_rows_affine(part, bits=bits)
        low, high = (extreme.float().reshape(1, 1) for extreme in torch.aminmax(rows))
        if self.scheme.symmetric:
            scale = torch.maximum(high, -low).div_(2 ** (bits - 1) - 1).clamp_min_(SMALLEST_SCALE)
            return self._with(scale, None)
        return self._with(*affine_scale(low, high, bits=bits))

    def _with(self, scale: torch.Tensor, offset: torch.Tensor | None) -> _Round:
        return lambda part: round_rows(part, scale.to(part.device), _on(offset, part), bits=self.scheme.bits)


def _quantize_rows_affine(rows: torch.Tensor, *, bits: int) -> QuantizedRows:
    low, high = (extreme.float() for extreme in torch.aminmax(rows, dim=-1, keepdim=True))
    return round_rows(rows, *affine_scale(low, high, bits=bits), bits=bits)


def _on(tensor: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(like.device)
