"""Observe a layer's inputs during calibration in a histogram of fixed size.

Its bins are chosen such that neither the order of the values nor their batching changes the histogram.
"""

from __future__ import annotations

import math

import torch

from pytest_qeval.errors import EngineError

BINS = 2048
"""Bins of either sign. At least half of them are in use, which gives each step of an 8-bit grid 8 bins or more."""

_SMALLEST_LIMIT = 2.0**-100
"""Smaller than any relevant activation; above it, a bin's width and its inverse are normal float32 numbers."""


class Histogram:
    """A streaming histogram of floating-point values, the same for the same values in any order and any chunks.

    A value x lies in bin trunc(x / width): the bin of zero spans (-width, width), bin i > 0 spans
    [i * width, (i + 1) * width), and bin -i is its mirror image. The width is `limit / BINS`, the limit the smallest
    power of two above all magnitudes. When the limit doubles, every two neighbouring bins become one, which is exact:
    trunc(trunc(x / width) / 2) = trunc(x / (2 * width)).
    """

    def __init__(self) -> None:
        """Start without values."""
        self.counts = torch.zeros(2 * BINS - 1, dtype=torch.int64)
        """Values per bin, on the CPU, from the most negative bin to the most positive one."""
        self.limit = _SMALLEST_LIMIT
        """Greater than every magnitude."""
        self.minimum = math.inf
        """The smallest value, exactly; infinity if there is none."""
        self.maximum = -math.inf
        """The largest value, exactly; minus infinity if there is none."""
        self.n_values = 0

    @property
    def width(self) -> float:
        """Width of a bin; the bin of zero is twice as wide."""
        return self.limit / BINS

    @property
    def largest(self) -> float:
        """The largest magnitude, exactly; 0 if there is none."""
        return max(self.maximum, -self.minimum, 0.0)

    def magnitudes(self) -> torch.Tensor:
        """Return the counts of magnitudes: int64 `[BINS]`, entry i for [i * width, (i + 1) * width)."""
        folded = self.counts[BINS - 1 :].clone()
        folded[1:] += self.counts[: BINS - 1].flip(0)
        return folded

    def add(self, values: torch.Tensor) -> None:
        """Add the values of a tensor of any shape and floating-point dtype.

        Raises:
            EngineError: A value is NaN or infinite.
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
