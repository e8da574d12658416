"""Clip methods of weights and static activations: choose the largest value that a grid represents.

A smaller bound makes every step finer and clips what lies beyond it. All functions return magnitudes or ranges; scales
are computed from them when values are rounded.
"""

from __future__ import annotations

import math

import torch

from pytest_qeval.quantize.kernels.observers import BINS, Histogram
from pytest_qeval.quantize.recipe import ClipMethod

BLOCK_ELEMENTS = 2**18
"""Elements processed at a time: 1 MB in float32, so that a dozen passes stay in the processor's cache."""
_TINY = torch.finfo(torch.float32).tiny
_COARSE = tuple(0.85**step for step in range(16))
"""Factors of the largest magnitude, down to 0.09, which 2 bits of a row with outliers need."""
_FINE = tuple(0.85 ** (step / 5) for step in (-4, -3, -2, -1, 1, 2, 3, 4))
"""Factors of the best coarse factor, up to its neighbours in steps of 3 %."""
_GAIN = 1 - 1e-4
"""A bound is better only if its error is smaller by more than the rounding error of the float32 sum."""
_THRESHOLDS = 256
"""Number of bounds tried on a histogram, in equal steps."""


def clip_rows(matrix: torch.Tensor, *, bits: int, clip: ClipMethod, percentile: float | None = None) -> torch.Tensor:
    """Return the largest magnitude that each row's symmetric grid represents: float32 `[rows, 1]`.

    `minmax`: the largest magnitude. `percentile`: the smallest one that at least `percentile` per cent of the row's
    magnitudes do not exceed. `mse`: among the largest magnitude and fractions of it, the bound with the least
    sum((clamp(round(x / scale)) * scale - x)^2), scale = bound / (2^(bits-1) - 1); never worse than `minmax`. This is
    the norm of Nahshan et al., "Loss aware post-training quantization" (arXiv 1911.07190), for p = 2.

    Args:
        matrix: floating point `[rows, columns]`, with one column or more.
        bits: 2 to 8.
        clip: `entropy` is not for weights (see `WeightScheme`).
        percentile: for `percentile` only, above 50, at most 100.

    A row of zeros gets 0, and a row with NaN or infinity a bound that is not finite.
    """
    chunk = max(1, BLOCK_ELEMENTS // matrix.shape[1])
    return torch.cat([_clip_chunk(rows, bits, clip, percentile) for rows in torch.split(matrix, chunk)])


def _clip_chunk(rows: torch.Tensor, bits: int, clip: ClipMethod, percentile: float | None) -> torch.Tensor:
    largest = torch.maximum(rows.amax(-1, keepdim=True), rows.amin(-1, keepdim=True).neg_()).to(torch.float32)
    if clip == "mse":
        return _least_error(rows, largest, levels=2 ** (bits - 1) - 1)
    if percentile is None:
        return largest
    rank = _rank(percentile, rows.shape[1])
    bound = rows.abs().kthvalue(rank, dim=-1, keepdim=True).values.to(torch.float32)
    return torch.where(largest.isfinite(), bound, largest)


def _least_error(rows: torch.Tensor, largest: torch.Tensor, *, levels: int) -> torch.Tensor:
    """Search for each row's bound coarsely, then finely around the best factor: float32 `[rows, 1]`."""
    steps = (largest / levels).clamp_min_(_TINY)
    factors = torch.ones_like(largest)
    errors = _squared_error(rows, steps, factors, levels)
    for factor in _COARSE[1:]:
        tried = torch.full_like(factors, factor)
        error = _squared_error(rows, steps, tried, levels)
        _keep_better(factors, errors, tried, error)
        # Rounding moves no element by more than half a step, so the rest of the error is clipping, and grows from here.
        clipping = error - rows.shape[1] * (factor / 2) ** 2
        if not bool((clipping <= errors).any()):
            break
    centers = factors.clone()
    for factor in _FINE:
        tried = (centers * factor).clamp_max_(1.0)
        _keep_better(factors, errors, tried, _squared_error(rows, steps, tried, levels))
    return largest * factors


def _squared_error(rows: torch.Tensor, steps: torch.Tensor, factors: torch.Tensor, levels: int) -> torch.Tensor:
    """Return each row's summed squared error in units of the squared step of `minmax`: float32 `[rows, 1]`."""
    scales = (steps * factors).clamp_min_(_TINY)
    total = torch.zeros_like(scales)
    for block in torch.split(rows, BLOCK_ELEMENTS, dim=1):
        exact = torch.div(block, scales)
        moved = exact.round().clamp_(-levels, levels).sub_(exact)
        total += torch.linalg.vector_norm(moved, dim=-1, keepdim=True).square_()
    return total.mul_((scales / steps).square_())


def _keep_better(factors: torch.Tensor, errors: torch.Tensor, tried: torch.Tensor, error: torch.Tensor) -> None:
    better = error < errors * _GAIN
    torch.where(better, tried, factors, out=factors)
    torch.where(better, error, errors, out=errors)


def _rank(percentile: float, count: int) -> int:
    """Return the rank, 1 to `count`, of the smallest value that `percentile` per cent of the values do not exceed."""
    return min(count, max(1, math.ceil(count * percentile / 100)))


def clip_histogram(histogram: Histogram, *, bits: int, clip: ClipMethod, percentile: float | None = None) -> float:
    """Return the largest magnitude that a symmetric grid represents; 0 if only zeros were seen.

    `minmax`: the largest magnitude, exactly. `percentile`: the upper edge of the bin that reaches the percentage.
    `mse`: of 256 equal fractions of the largest magnitude, the one with the least squared error of the bins' centres,
    weighted by their counts. `entropy`: see `entropy_threshold`. No bound exceeds the largest magnitude.
    """
    if clip == "mse":
        thresholds = _thresholds(histogram)
        levels = 2 ** (bits - 1) - 1
        return _best(histogram, thresholds, scales=thresholds / levels, lowest=-levels, highest=levels)
    return _threshold(histogram, bits, clip, percentile)


def range_of_histogram(
    histogram: Histogram, *, bits: int, clip: ClipMethod, percentile: float | None = None
) -> tuple[float, float]:
    """Return the ends (low <= 0, high >= 0) of an asymmetric grid of 2^bits values: the values seen, unless clipped.

    The bound is found as in `clip_histogram`, on the magnitudes of both signs; for `mse`, the error is that of the
    asymmetric grid: scale = (high - low) / (2^bits - 1), zero = round(-low / scale), value = clamp(round(x / scale) +
    zero, 0, 2^bits - 1).
    """
    low, high = min(histogram.minimum, 0.0), max(histogram.maximum, 0.0)
    if clip == "mse":
        thresholds, levels = _thresholds(histogram), 2**bits - 1
        scales = (thresholds.clamp_max(high) - (-thresholds).clamp_min(low)) / levels
        zeros = (-(-thresholds).clamp_min(low) / scales.clamp_min(_TINY)).round()
        bound = _best(histogram, thresholds, scales=scales, lowest=-zeros, highest=levels - zeros)
    else:
        bound = _threshold(histogram, bits, clip, percentile)
    return max(low, -bound), min(high, bound)


def _threshold(histogram: Histogram, bits: int, clip: ClipMethod, percentile: float | None) -> float:
    """Return the bound of a clip method that does not depend on the grid's symmetry."""
    if clip == "entropy":
        bins = entropy_threshold(histogram.magnitudes(), levels=2 ** (bits - 1))
        return min(bins * histogram.width, histogram.largest)
    if percentile is None:
        return histogram.largest
    reached = histogram.magnitudes().cumsum(0) >= _rank(percentile, histogram.n_values)
    return min((int(reached.to(torch.int8).argmax()) + 1) * histogram.width, histogram.largest)


def _thresholds(histogram: Histogram) -> torch.Tensor:
    """Return the bounds to try: float64 `[256]`, the largest magnitude first."""
    return torch.arange(_THRESHOLDS, 0, -1, dtype=torch.float64) / _THRESHOLDS * histogram.largest


def _best(
    histogram: Histogram,
    thresholds: torch.Tensor,
    *,
    scales: torch.Tensor,
    lowest: torch.Tensor | int,
    highest: torch.Tensor | int,
) -> float:
    """Return the threshold with the least squared error on the histogram; of equal ones the largest.

    `scales`, `lowest` and `highest` (the ends of the grid) have one entry per threshold, or one for all.
    """
    seen = histogram.counts.nonzero().squeeze(1)
    values = ((seen - (BINS - 1)).to(torch.float64) + (seen - (BINS - 1)).sign() / 2) * histogram.width
    scales = scales.clamp_min(_TINY).unsqueeze(1)
    low, high = (torch.as_tensor(bound).reshape(-1, 1) for bound in (lowest, highest))
    moved = (values / scales).round_().clamp_(low, high).mul_(scales).sub_(values)
    errors = moved.square_() @ histogram.counts[seen].to(torch.float64)
    return float(thresholds[errors.argmin()])


def entropy_threshold(counts: torch.Tensor, *, levels: int) -> float:
    """Return the bound that preserves the distribution best, in bins; infinity if there are no more bins than levels.

    Migacz, "8-bit inference with TensorRT" (GTC 2017): for every i from `levels` to the number of bins in use, P is the
    first i bins, with all counts beyond added to the last one; Q is the same bins without the counts beyond, merged
    evenly into `levels` levels, each spread evenly over its nonempty bins. The bound is i + 1/2 for the i with the
    least Kullback-Leibler divergence sum(P ln(P / Q)) of the normalised distributions. It is infinite if the last bin
    of Q is empty and that of P is not, so a bound never lies in a gap. Sums over bins are differences of cumulative
    sums, which makes it one pass over `[candidates, levels]`:

        KL = (sum(p ln p) - sum(p ln q)) / sum(p) - ln(sum(p)) + ln(sum(q)), counts p and q before normalising.
    """
    used = int(counts.nonzero().max()) + 1 if bool(counts.any()) else 0
    if used <= levels:
        return math.inf
    weights = counts[:used].to(torch.float64)
    ends = torch.arange(levels, used + 1)
    inside, total = _cumulative(weights)[ends], weights.sum()
    beyond = total - inside
    last = weights[ends - 1]
    edges = -(-ends.unsqueeze(1) * torch.arange(levels + 1) // levels)
    sums = _cumulative(weights)[edges].diff()
    spread = sums / _cumulative((weights > 0).to(torch.float64))[edges].diff().clamp_min_(1)
    own = _cumulative(torch.xlogy(weights, weights))[ends - 1] + torch.xlogy(last + beyond, last + beyond)
    cross = torch.xlogy(sums, spread).sum(1) + torch.xlogy(beyond, spread[:, -1])
    divergence = (own - cross) / total - total.log() + inside.log()
    divergence[(last == 0) & (beyond > 0)] = math.inf  # Q is zero where P is not
    return float(ends[divergence.argmin()]) + 0.5


def _cumulative(values: torch.Tensor) -> torch.Tensor:
    """Return the sums of `values[:i]` for every i from 0 to their number."""
    return torch.cat([values.new_zeros(1), values.cumsum(0)])
