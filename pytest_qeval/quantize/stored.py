"""Checkpoints that are quantized already: what their files say was done, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pytest_qeval.errors import MissingPackageError
from pytest_qeval.quantize.quantization import ExecutionKind, LayerRecord, Quantization

__all__ = ["describe_gguf", "describe_stored", "scheme_of"]

_GGUF_FLOATS = {"F32", "F16", "BF16", "F64"}
_UNPACKED = {
    "gguf": "the file's blocks are unpacked to floating point",
    "compressed-tensors": "transformers unpacks compressed-tensors checkpoints to floating point",
}
"""Formats that are held and multiplied in floating point here."""


def describe_stored(model: nn.Module, method: str, config: Mapping[str, Any]) -> Quantization:
    """Describe a model that transformers has loaded from a quantized checkpoint.

    Args:
        model: As loaded; its quantized layers are modules of some package's own.
        method: The config's `quant_method`.
        config: The checkpoint's `quantization_config`.
    """
    records = tuple(
        _record(name, module, method, config) for name, module in model.named_modules() if _is_linear(module)
    )
    linear = sum(record.shape[0] * record.shape[1] for record in records)
    layers = {id(module.weight) for module in model.modules() if _is_linear(module) and hasattr(module, "weight")}
    others = sum(
        p.numel()
        for m in model.modules()
        if not _is_linear(m)
        for p in m.parameters(recurse=False)
        if id(p) not in layers
    )
    return Quantization(layers=records, parameters=linear + others, duration_s=0.0)


def describe_gguf(file: Path) -> Quantization:
    """Describe a GGUF file by its own list of tensors: matrices that are not floating point are quantized layers.

    Raises:
        MissingPackageError: without the package gguf.
    """
    try:
        from gguf import GGUFReader  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingPackageError("gguf", extra="transformers", purpose="a GGUF file") from error
    tensors = GGUFReader(file).tensors
    matrices = [tensor for tensor in tensors if len(tensor.shape) == 2]  # noqa: PLR2004 - matrices
    records = tuple(_gguf_record(tensor) for tensor in matrices)
    return Quantization(layers=records, parameters=sum(int(tensor.n_elements) for tensor in tensors), duration_s=0.0)


def scheme_of(method: str, quantization: Quantization) -> str:
    """Say in short what a checkpoint is: `gptq, 4 bits`, or `gguf, 4.9 bits` where bits are mixed."""
    quantized = [layer for layer in quantization.layers if not layer.kept]
    if not quantized:
        return method
    weights = sum(layer.shape[0] * layer.shape[1] for layer in quantized)
    bits = sum(layer.bits * layer.shape[0] * layer.shape[1] for layer in quantized) / weights
    return f"{method}, {bits:.2g} bits"


def _gguf_record(tensor: Any) -> LayerRecord:
    columns, rows = (int(size) for size in tensor.shape)
    kind = tensor.tensor_type.name
    kept = kind in _GGUF_FLOATS
    return LayerRecord(
        name=str(tensor.name),
        shape=(rows, columns),
        bits=round(8 * int(tensor.n_bytes) / (rows * columns)),
        kept=kept,
        bytes_before=4 * rows * columns,
        bytes_after=int(tensor.n_bytes),
        granularity="" if kept else kind,
        execution="full precision" if kept else "simulated",
        note="" if kept else f"no speed-up: {_UNPACKED['gguf']}",
    )


def _is_linear(module: nn.Module) -> bool:
    return isinstance(getattr(module, "in_features", None), int) and isinstance(
        getattr(module, "out_features", None), int
    )


def _record(name: str, module: Any, method: str, config: Mapping[str, Any]) -> LayerRecord:
    scheme = getattr(module, "quantization_scheme", None)  # of compressed-tensors
    kept = scheme is None if method == "compressed-tensors" else _is_plain(module)
    held = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    bits = 8 * module.weight.element_size() if kept else _bits(scheme, config)
    size = module.in_features * module.out_features
    execution: ExecutionKind = "full precision" if kept else "simulated" if method in _UNPACKED else "native"
    return LayerRecord(
        name=name,
        shape=(module.out_features, module.in_features),
        bits=bits,
        kept=kept,
        bytes_before=held if kept else 2 * size,
        bytes_after=-(-size * bits // 8) if execution == "simulated" else held,
        granularity="" if kept else method,
        execution=execution,
        note=f"no speed-up: {_UNPACKED[method]}" if execution == "simulated" else "",
    )


def _is_plain(module: nn.Module) -> bool:
    """Whether a layer is one of torch's own, holding a tensor of torch's own."""
    weight = getattr(module, "weight", None)
    return type(module) is nn.Linear and weight is not None and not hasattr(weight, "__tensor_flatten__")


def _bits(scheme: Any, config: Mapping[str, Any]) -> int:
    """Find the bits per weight; 8 or 4 is all that most formats know."""
    weights = getattr(scheme, "weights", None)
    if weights is not None:
        return int(weights.num_bits)
    if isinstance(config.get("bits"), int):
        return int(config["bits"])
    if config.get("load_in_4bit"):
        return 4
    return 4 if "4" in str(config.get("quant_type", "")) else 8
