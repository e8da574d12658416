"""Describe a checkpoint that is quantized already, as its files have it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_qeval.engines.hub import hub_file
from pytest_qeval.engines.model_config import quantization_config, read_config
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.quantize.checkpoints.prequantized import describe_gguf, describe_prequantized
from pytest_qeval.quantize.checkpoints.unpacked import describe_unpacked
from pytest_qeval.quantize.checkpoints.weight_files import safetensors_headers
from pytest_qeval.quantize.footprint import model_bytes
from pytest_qeval.quantize.quantization import Quantization

_TWICE_ROUNDED = "made from a GGUF file's blocks unpacked to floating point"


def describe_stored(source: ModelSource, model: Any) -> Quantization:
    """Describe a checkpoint's own quantization."""
    if source.kind == "gguf" and source.path is not None:
        return describe_gguf(source.path, itemsize=model.dtype.itemsize)
    if directory := _directory(source):
        unpacked = describe_unpacked(model, safetensors_headers(directory), quantization_config(read_config(directory)))
        if unpacked is not None:
            return unpacked
    config = getattr(model.config, "quantization_config", {})
    return describe_prequantized(model, source.stored, config if isinstance(config, dict) else config.to_dict())


def _directory(source: ModelSource) -> Path | None:
    """Return the folder that a model was loaded from; a hub model's is known once it has been fetched."""
    if source.path is None and (config := hub_file(source.name, source.commit, "config.json")):
        return config.parent
    return source.path


def note_gguf(quantization: Quantization) -> Quantization:
    """Note on every quantized layer that its weights had been rounded before."""
    layers = (
        layer if layer.kept else replace(layer, note="; ".join(filter(None, (layer.note, _TWICE_ROUNDED))))
        for layer in quantization.layers
    )
    return replace(quantization, layers=tuple(layers))


def count_bytes(source: ModelSource, model: Any, quantization: Quantization, *, as_stored: bool) -> int:
    """Count the model's bytes; those of its files for a quantized checkpoint that is computed in floating point."""
    if as_stored and quantization.execution == "simulated" and (path := _directory(source)):
        if source.kind == "gguf":
            return path.stat().st_size
        return sum(header.stored_bytes for header in safetensors_headers(path).values())
    return model_bytes(model) - (0 if as_stored else quantization.simulated_savings_bytes)
