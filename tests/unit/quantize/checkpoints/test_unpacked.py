"""Checkpoints that transformers unpacks are described from the headers of their files."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval.quantize.checkpoints.unpacked import describe_unpacked
from pytest_qeval.quantize.checkpoints.weight_files import TensorHeader

BLOCKS = {"weight_block_size": [128, 128]}


def header(dtype: str, *shape: int, size: int = 1) -> TensorHeader:
    return TensorHeader(dtype=dtype, shape=shape, stored_bytes=size * torch.Size(shape).numel())


@pytest.mark.parametrize(
    ("scales", "config", "granularity"),
    [
        ((1,), {}, "per_tensor"),
        ((), {}, "per_tensor"),
        ((8, 1), {}, "per_channel"),
        ((1, 1), BLOCKS, "per_block(128x128)"),
    ],
)
def test_float8_is_described(scales: tuple[int, ...], config: Any, granularity: str) -> None:
    """With its scales; what is not packed is kept."""
    model = nn.Sequential(nn.Linear(16, 8, bias=False), nn.Linear(8, 4, bias=False))
    headers = {
        "0.weight": header("F8_E4M3", 8, 16),
        "0.weight_scale": header("F32", *scales, size=4),
        "1.weight": header("BF16", 4, 8, size=2),
    }
    found = describe_unpacked(model, headers, config)
    assert found is not None
    packed, kept = found.layers
    assert (packed.name, packed.shape, packed.bits, packed.granularity) == ("0", (8, 16), 8, granularity)
    assert packed.bytes_after == 8 * 16 + 4 * torch.Size(scales).numel()
    assert (kept.name, kept.kept, found.execution) == ("1", True, "simulated")
    assert found.quantized_share == 8 * 16 / (8 * 16 + 4 * 8)


def test_mxfp4_experts_are_described() -> None:
    """Two numbers of 4 bits in a byte, a scale for 32 of them."""
    headers = {
        "experts.down_proj_blocks": header("U8", 4, 8, 2, 16),
        "experts.down_proj_scales": header("U8", 4, 8, 2),
    }
    found = describe_unpacked(nn.Linear(2, 2), headers, {})
    assert found is not None
    (layer,) = (layer for layer in found.layers if not layer.kept)
    assert (layer.shape, layer.bits, layer.granularity) == ((4 * 8, 64), 4, "per_group(32)")
    assert layer.bytes_after == 4 * 8 * 32 + 4 * 8 * 2


def test_what_is_computed_as_stored_is_not_described_here() -> None:
    """Neither a model that holds its packed weights, nor one in floating point."""
    headers = {"weight": header("F8_E4M3", 2, 2), "weight_scale": header("F32", 1, size=4)}
    model = nn.Linear(2, 2, bias=False)
    assert describe_unpacked(model, {"weight": header("F32", 2, 2, size=4)}, {}) is None
    model.weight = nn.Parameter(torch.zeros(2, 2).to(torch.float8_e4m3fn), requires_grad=False)
    assert describe_unpacked(model, headers, {}) is None
