"""What passes through a layer while calibration runs, kept as a histogram.

Static activations need the distribution of values that are never all there at once. A histogram of fixed size holds it,
and its bins are chosen such that neither the order of the values nor how they were batched changes it.
"""

from __future__ import annotations

import math

import torch

from pytest_qeval.errors import EngineError

__all__ = ["BINS", "Histogram"]

BINS = 2048
"""Bins of either sign. Half of them or more are in use, which leaves 8 or more to a step of an 8-bit grid."""

_SMALLEST_LIMIT = 2.0**-100
"""No activation that matters is smaller; above it, a bin's width and its inverse are normal float32 numbers."""


class Histogram:
    """A streaming histogram of floating-point values, the same for the same values in any order and any chunks.

    A value x lies in bin trunc(x / width): the bin of zero spans (-width, width), bin i > 0 spans
    [i * width, (i + 1) * width), and bin -i is its mirror image. The width is `limit / BINS`, the limit the smallest
    power of two above all magnitudes. When the limit doubles, every two neighbouring bins become one, which is exact:
    trunc(trunc(x / width) / 2) = trunc(x / (2 * width)).
    """

    def __init__(self) -> None:
        """Start with no values."""
        self.counts = torch.zeros(2 * BINS - 1, dtype=torch.int64)
        """Values per bin, on the CPU, from the most negative bin to the most positive one."""
        self.limit = _SMALLEST_LIMIT
        """Greater than every magnitude."""
        self.minimum = math.inf
        """The smallest value, exactly; infinity while there is none."""
        self.maximum = -math.inf
        """The largest value, exactly; minus infinity while there is none."""
        self.n_values = 0

    @property
    def width(self) -> float:
        """Of a bin; that of zero is twice as wide."""
        return self.limit / BINS

    @property
    def largest(self) -> float:
        """The largest magnitude, exactly; 0 while there is none."""
        return max(self.maximum, -self.minimum, 0.0)

    def magnitudes(self) -> torch.Tensor:
        """Count magnitudes: int64 `[BINS]`, entry i for [i * width, (i + 1) * width)."""
        folded = self.counts[BINS - 1 :].clone()
        folded[1:] += self.counts[: BINS - 1].flip(0)
        return folded

    def add(self, values: torch.Tensor) -> None:
        """Count a tensor of any shape and floating-point dtype; an empty one changes nothing.

        Raises:
            EngineError: when a value is NaN or infinite.
        """
        if not values.numel():
            return
        floats = values.detach().to(torch.float32).flatten()
        low, high = (float(bound) for bound in torch.aminmax(floats))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise EngineError(
                "activations are not finite: calibration met NaN or infinity, which no integer grid can hold. "
                "Load the model in float32, or look for broken weights."
            )
        self._grow(max(high, -low))
        # The product is exact (the width is a power of two), and the conversion truncates.
        bins = floats.mul(1 / self.width).to(torch.int32).add_(BINS - 1)
        self.counts += torch.bincount(bins, minlength=2 * BINS - 1).cpu()
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        self.n_values += floats.numel()

    def _grow(self, magnitude: float) -> None:
        """Double the limit until it exceeds `magnitude`."""
        if magnitude < self.limit:
            return
        limit = math.ldexp(1.0, math.frexp(magnitude)[1])
        offsets = torch.arange(1 - BINS, BINS)
        merged = torch.div(offsets, limit / self.limit, rounding_mode="trunc").to(torch.int64)
        self.counts = torch.zeros_like(self.counts).index_add_(0, merged + (BINS - 1), self.counts)
        self.limit = limit
