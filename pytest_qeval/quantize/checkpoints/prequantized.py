"""Describe checkpoints that are already quantized, layer by layer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_qeval.quantize.backends.torchao import bits_of
from pytest_qeval.quantize.checkpoints.weight_files import GGUF_FLOATS, read_gguf
from pytest_qeval.quantize.footprint import hidden_bytes, parts_of
from pytest_qeval.quantize.layers import embedding_parameters, record_others
from pytest_qeval.quantize.quantization import ExecutionKind, LayerRecord, Quantization

_UNPACKED = {"compressed-tensors": "transformers unpacks compressed-tensors checkpoints to floating point"}
"""Formats that transformers unpacks to floating point."""


def describe_prequantized(model: nn.Module, method: str, config: Mapping[str, Any]) -> Quantization:
    """Describe a model that transformers has loaded from a checkpoint with this `quantization_config` and `method`.

    Its quantized layers are modules of other packages.
    """
    linear = {name: module for name, module in model.named_modules() if _is_linear(module)}
    itemsize = _itemsize(model)
    records = tuple(_record(name, module, method, config, itemsize) for name, module in linear.items())
    weights = {id(module.weight) for module in linear.values() if hasattr(module, "weight")}
    others = (module.parameters(recurse=False) for module in model.modules() if not _is_linear(module))
    parameters = sum(p.numel() for group in others for p in group if id(p) not in weights)
    parameters += sum(record.shape[0] * record.shape[1] for record in records)
    return Quantization(
        layers=(*records, *record_others(model, records)),
        parameters=parameters,
        embeddings=embedding_parameters(model),
    )


def describe_gguf(file: Path, *, itemsize: int = 4) -> Quantization:
    """Describe a GGUF file by its list of tensors: matrices that are not floating point are quantized layers.

    The experts of a layer are one tensor of matrices, and one layer here. `itemsize` is the bytes of a number after
    unpacking.

    Raises:
        ModelSourceError: The file is not whole.
        MissingPackageError: The package gguf is not installed.
    """
    tensors = read_gguf(file).tensors
    records = tuple(_gguf_record(tensor, itemsize) for tensor in tensors if len(tensor.shape) > 1)
    embeddings = (layer for layer in records if layer.kept and "embd" in layer.name)
    return Quantization(
        layers=records,
        parameters=sum(int(tensor.n_elements) for tensor in tensors),
        embeddings=sum(layer.shape[0] * layer.shape[1] for layer in embeddings),
    )


def scheme_of(method: str, quantization: Quantization) -> str:
    """Return a checkpoint's scheme: `gptq, 4 bits`, or `gguf, 4.9 bits` if bits are mixed."""
    quantized = [layer for layer in quantization.layers if not layer.kept]
    if not quantized:
        return method
    weights = sum(layer.shape[0] * layer.shape[1] for layer in quantized)
    bits = sum(layer.bits * layer.shape[0] * layer.shape[1] for layer in quantized) / weights
    return f"{method}, {bits:.2g} bits"


def _gguf_record(tensor: Any, itemsize: int) -> LayerRecord:
    columns, *sizes = (int(size) for size in tensor.shape)
    rows = math.prod(sizes)
    kind = tensor.tensor_type.name
    kept = kind in GGUF_FLOATS
    return LayerRecord(
        name=str(tensor.name),
        shape=(rows, columns),
        bits=gguf_bits(kind),
        kept=kept,
        bytes_before=itemsize * rows * columns,
        bytes_after=int(tensor.n_bytes),
        execution="full precision" if kept else "simulated",
        note="" if kept else f"no speed-up: the file's {kind} blocks are unpacked to floating point",
    )


def gguf_bits(kind: str) -> int:
    """Return the bits of a weight without scales from a type's name: 6 for `Q6_K`, 4 for `IQ4_XS`."""
    return int(re.findall(r"\d+", kind)[0])


def _itemsize(model: nn.Module) -> int:
    """Return the bytes of a number of the model's floating-point type."""
    floats = (parameter.element_size() for parameter in model.parameters() if parameter.is_floating_point())
    dtype = getattr(model, "dtype", None)
    return dtype.itemsize if isinstance(dtype, torch.dtype) else next(floats, 4)


def _is_linear(module: nn.Module) -> bool:
    return all(isinstance(getattr(module, name, None), int) for name in ("in_features", "out_features"))


def _record(name: str, module: Any, method: str, config: Mapping[str, Any], itemsize: int) -> LayerRecord:
    scheme = getattr(module, "quantization_scheme", None)  # of compressed-tensors
    kept = scheme is None if method == "compressed-tensors" else _is_plain(module)
    held = _held_bytes(module)
    size = module.in_features * module.out_features
    bits = 8 * module.weight.element_size() if kept else _bits(module, scheme, config) or 8 * held // size
    execution: ExecutionKind = "full precision" if kept else "simulated" if method in _UNPACKED else "native"
    return LayerRecord(
        name=name,
        shape=(module.out_features, module.in_features),
        bits=bits,
        kept=kept,
        bytes_before=held if kept else itemsize * size,
        bytes_after=-(-size * bits // 8) if execution == "simulated" else held,
        execution=execution,
        note=f"no speed-up: {_UNPACKED[method]}" if execution == "simulated" else "",
    )


def _held_bytes(module: nn.Module) -> int:
    """Return the bytes of a layer's weight and scales, in parameters or buffers, without its bias."""
    tensors = (*module.named_parameters(), *module.named_buffers())
    held = sum(part.nbytes for name, tensor in tensors if name != "bias" for part in parts_of(tensor))
    return held + hidden_bytes(module)


def _is_plain(module: nn.Module) -> bool:
    """Whether a layer and its weight are of torch's own types."""
    weight = getattr(module, "weight", None)
    return type(module) is nn.Linear and weight is not None and not hasattr(weight, "__tensor_flatten__")


def _bits(module: nn.Module, scheme: Any, config: Mapping[str, Any]) -> int | None:
    """Return the bits per weight; None if neither the layer nor the config states them."""
    weights = getattr(scheme, "weights", None)
    if weights is not None:
        return int(weights.num_bits)
    weight = getattr(module, "weight", None)
    if hasattr(weight, "__tensor_flatten__"):
        return bits_of(weight)
    if config.get("load_in_4bit") or config.get("load_in_8bit"):
        return 4 if config.get("load_in_4bit") else 8
    return config["bits"] if isinstance(config.get("bits"), int) else None
