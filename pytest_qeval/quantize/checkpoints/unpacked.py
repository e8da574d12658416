"""Describe quantized checkpoints whose weights transformers has unpacked to floating point, from their headers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_qeval.quantize.checkpoints.weight_files import TensorHeader
from pytest_qeval.quantize.layers import embedding_parameters, find_linear_layers, record_kept
from pytest_qeval.quantize.quantization import LayerRecord, Quantization

_SCALES = ("_scale_inv", "_scale")
"""What the name of a weight's scales ends with, after the weight's."""
_BLOCKS, _BLOCK_SCALES = "_blocks", "_scales"
"""Names of MXFP4: two numbers of 4 bits in a byte, one scale for 32 of them."""
_MXFP4_GROUP = 32


class _Packed(NamedTuple):
    name: str
    shape: tuple[int, int]
    bits: int
    stored_bytes: int
    granularity: str


def describe_unpacked(
    model: nn.Module, headers: Mapping[str, TensorHeader], config: Mapping[str, Any]
) -> Quantization | None:
    """Describe a model whose files hold packed weights; None where it computes with them, or there are none.

    `headers` are of the tensors in its files, `config` is their `quantization_config`.
    """
    packed = list(_packed(headers, config))
    if not packed or any(parameter.itemsize == 1 for parameter in model.parameters()):
        return None
    dtype = getattr(model, "dtype", torch.float32)
    names = {one.name for one in packed}
    kept = (record_kept(plan, model) for plan in find_linear_layers(model) if names.isdisjoint(plan.names))
    return Quantization(
        layers=(*(_record(one, dtype) for one in packed), *kept),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        embeddings=embedding_parameters(model),
    )


def _packed(headers: Mapping[str, TensorHeader], config: Mapping[str, Any]) -> Iterator[_Packed]:
    for name, header in headers.items():
        scales = next((headers[name + suffix] for suffix in _SCALES if name + suffix in headers), None)
        if scales is not None and len(header.shape) > 1 and header.dtype.startswith("F8_"):
            rows, columns = math.prod(header.shape[:-1]), header.shape[-1]
            size = header.stored_bytes + scales.stored_bytes
            yield _Packed(name.removesuffix(".weight"), (rows, columns), 8, size, _granularity(scales, config))
        elif name.endswith(_BLOCKS) and name.removesuffix(_BLOCKS) + _BLOCK_SCALES in headers:
            parameter = name.removesuffix(_BLOCKS)
            columns = header.shape[-2] * _MXFP4_GROUP
            size = header.stored_bytes + headers[parameter + _BLOCK_SCALES].stored_bytes
            rows = math.prod(header.shape[:-2])
            yield _Packed(parameter, (rows, columns), 4, size, f"per_group({_MXFP4_GROUP})")


def _granularity(scales: TensorHeader, config: Mapping[str, Any]) -> str:
    """Say which weights share a scale."""
    if block := config.get("weight_block_size"):
        return f"per_block({'x'.join(map(str, block))})"
    return "per_tensor" if math.prod(scales.shape) == 1 else "per_channel"


def _record(packed: _Packed, dtype: torch.dtype) -> LayerRecord:
    rows, columns = packed.shape
    kind = str(dtype).removeprefix("torch.")
    return LayerRecord(
        name=packed.name,
        shape=packed.shape,
        bits=packed.bits,
        bytes_before=rows * columns * dtype.itemsize,
        bytes_after=packed.stored_bytes,
        granularity=packed.granularity,
        execution="simulated",
        note=f"no speed-up: the files' {packed.bits}-bit floats ({packed.granularity}) are unpacked to {kind}",
    )
