"""Floating-point products by oneDNN, with plain weights and with weights packed into its own layout."""

from __future__ import annotations

from functools import cache

import torch
from torch.nn.functional import linear


def product(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiply `rows` [rows, in_features] with oneDNN, also where torch would take MKL, or another kernel for one row.

    `weight` is [out_features, in_features], plain or packed (`pack`); `bias` [out_features] may be float32.
    """
    if not onednn_works(weight.dtype):
        return linear(rows, weight, bias)
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")  # noqa: SLF001
    return result


def pack(weight: torch.Tensor) -> torch.Tensor:
    """Return a weight `[out_features, in_features]` in oneDNN's own layout; itself where it cannot be packed."""
    if weight.device.type != "cpu" or not _can_pack(weight.dtype):
        return weight
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)  # noqa: SLF001
    return packed


@cache
def onednn_works(dtype: torch.dtype) -> bool:
    """Whether this torch multiplies plain weights of this dtype with oneDNN; tested once, the operator is private."""
    rows = torch.eye(2, 32, dtype=dtype)
    try:
        result = torch.ops.mkldnn._linear_pointwise(rows, rows, None, "none", [], "")  # noqa: SLF001
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(result, rows @ rows.t())


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch packs weights of this dtype, and multiplies by them; tested once, like `onednn_works`."""
    if not onednn_works(dtype):
        return False
    rows = torch.eye(2, 32, dtype=dtype)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(rows, None)  # noqa: SLF001
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(product(rows, packed, None), rows @ rows.t())
