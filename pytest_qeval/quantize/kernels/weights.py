"""Quantize weights: the one place where a weight is rounded, for every kernel and for simulation."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from pytest_qeval.quantize.kernels.clip import clip_rows
from pytest_qeval.quantize.kernels.grid import SMALLEST_SCALE, symmetric_scale
from pytest_qeval.quantize.recipe import WeightScheme

CHUNK_ELEMENTS = 2**23
"""Weights rounded at a time (32 MB in float32), which bounds the memory that an output layer of 10^8 weights needs."""


class QuantizedWeight(NamedTuple):
    """A weight as integers: `weight ≈ values * scales`, with each scale repeated over its group."""

    values: torch.Tensor
    """int8 `[out_features, in_features]`, within -(2^(bits-1) - 1) … 2^(bits-1) - 1."""
    scales: torch.Tensor
    """float32 `[out_features, groups]`, positive; `per_tensor` repeats its scale for every output feature."""
    group_size: int
    """Number of neighbours in a row that share a scale; the last group may be shorter. `in_features` for one group."""

    def dequantize(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the weight that the integers represent, rounded once to `dtype`."""
        weight = torch.empty(self.values.shape, dtype=dtype, device=self.values.device)
        for rows in _chunks(self.values):
            scales = _repeated(self.scales[rows], self.group_size, weight.shape[1])
            weight[rows] = self.values[rows].float().mul_(scales)
        return weight


def quantize_weight(weight: torch.Tensor, scheme: WeightScheme) -> QuantizedWeight:
    """Round a floating-point weight `[out_features, in_features]` to the scheme's grid.

    value = clamp(round(weight / scale)), scale = bound / (2^(bits-1) - 1), with the bound of `clip_rows`. Scales of
    groups are rounded to the weight's own dtype before weights are divided by them, because packed formats store them
    so.
    """
    columns = weight.shape[1]
    group = min(scheme.group_size or columns, columns)
    values = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    whole = _scales(weight.reshape(1, -1), scheme) if scheme.granularity == "per_tensor" and weight.numel() else None
    scales = []
    for rows in _chunks(weight):
        part = weight[rows].to(torch.float32, copy=True)
        part_scales = (
            _group_scales(part, scheme, group, weight.dtype) if whole is None else whole.expand(part.shape[0], 1)
        )
        last = 2 ** (scheme.bits - 1) - 1
        values[rows] = part.div_(_repeated(part_scales, group, columns)).round_().clamp_(-last, last).to(torch.int8)
        scales.append(part_scales)
    return QuantizedWeight(values, torch.cat(scales) if scales else weight.new_empty(0, 1).float(), group)


def packed_bytes(weight: torch.Tensor, scheme: WeightScheme) -> int:
    """Return the bytes of a weight in packed storage: its integers and its scales.

    A scale takes 4 bytes, or, per group, as many as the weight's own dtype.
    """
    rows, columns = weight.shape
    integers = -(-weight.numel() * scheme.bits // 8)
    if scheme.group_size is not None:
        return integers + rows * -(-columns // scheme.group_size) * weight.element_size()
    return integers + 4 * (1 if scheme.granularity == "per_tensor" else rows)


def _smallest(dtype: torch.dtype) -> float:
    """Return the smallest scale that `dtype` can represent and float32 can divide by (for float16 a denormal)."""
    return 2.0**-24 if dtype == torch.float16 else SMALLEST_SCALE


def _scales(rows: torch.Tensor, scheme: WeightScheme) -> torch.Tensor:
    """Return every row's scale `[rows, 1]`, float32."""
    bounds = clip_rows(rows, bits=scheme.bits, clip=scheme.clip, percentile=scheme.percentile)
    return symmetric_scale(bounds, bits=scheme.bits)


def _group_scales(part: torch.Tensor, scheme: WeightScheme, group: int, dtype: torch.dtype) -> torch.Tensor:
    """Return one scale per group, `[rows, groups]`; the last group may be shorter."""
    rows, columns = part.shape
    whole = columns // group
    pieces = [part[:, : whole * group].reshape(rows * whole, group)]
    if columns % group:
        pieces.append(part[:, whole * group :])
    return torch.cat([_row_scales(piece, scheme, dtype).reshape(rows, -1) for piece in pieces], dim=1)


def _row_scales(rows: torch.Tensor, scheme: WeightScheme, dtype: torch.dtype) -> torch.Tensor:
    """Return every row's scale `[rows, 1]`, rounded to `dtype` for a per_group scheme.

    If rounding the scale costs more than the search for it has gained, the scale of minmax is returned.
    """
    scales = _scales(rows, scheme)
    if scheme.granularity != "per_group" or dtype == torch.float32:
        return scales
    scales = scales.to(dtype).float().clamp_min_(_smallest(dtype))
    if scheme.clip != "mse":
        return scales
    plain = _row_scales(rows, replace(scheme, clip="minmax"), dtype)
    better = _squared_error(rows, scales, scheme) <= _squared_error(rows, plain, scheme)
    return torch.where(better, scales, plain)


def _squared_error(rows: torch.Tensor, scales: torch.Tensor, scheme: WeightScheme) -> torch.Tensor:
    last = 2 ** (scheme.bits - 1) - 1
    moved = rows.div(scales).round_().clamp_(-last, last).mul_(scales).sub_(rows)
    return moved.square_().sum(-1, keepdim=True)


def _repeated(scales: torch.Tensor, group: int, columns: int) -> torch.Tensor:
    """Return the scales `[rows, groups]` once per column, or as they are if there is one per row."""
    return scales if scales.shape[1] == 1 else scales.repeat_interleave(group, dim=1)[:, :columns]


def _chunks(matrix: torch.Tensor) -> list[slice]:
    step = max(1, CHUNK_ELEMENTS // max(1, matrix.shape[1]))
    return [slice(start, start + step) for start in range(0, matrix.shape[0], step)]
