"""Read an exported checkpoint back to the very same integers; `checkpoints.export` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open

from pytest_qeval.errors import ModelSourceError, RecipeError
from pytest_qeval.quantize.checkpoints.packing import unpack_int32
from pytest_qeval.quantize.checkpoints.weight_files import OWN_WEIGHTS, WEIGHTS
from pytest_qeval.quantize.experts import stack_experts
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.weights import QuantizedWeight
from pytest_qeval.quantize.layers import LayerPlan, rule_for
from pytest_qeval.quantize.recipe import EXPORT_FILE, Recipe

VERSION = 1
BYTE_BITS = 8
"""Integers of 8 bits are stored as they are, smaller ones are packed."""


class ExportContent(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `qeval.json`."""

    version: int = VERSION
    recipe: Recipe
    ranges: dict[str, StaticRange]
    transposed: tuple[str, ...]
    """Layers whose weight the model stores as `[in_features, out_features]`."""
    stacked: dict[str, bool] = {}
    """Tensors of experts that the export holds one by one, each with whether the model stores it transposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedCheckpoint:
    """An exported checkpoint in memory."""

    content: ExportContent
    floats: Mapping[str, torch.Tensor]
    """Tensors that are not quantized, by their name in the state dict."""
    weights: Mapping[str, QuantizedWeight]
    """By name of the layer."""

    def round(self, layer: LayerPlan, _: torch.Tensor) -> QuantizedWeight:
        """Return a layer's stored integers; a `Rounding`.

        Raises:
            ModelSourceError: There are none for this layer.
        """
        if layer.name not in self.weights:
            raise ModelSourceError(
                f"the quantized checkpoint holds no integers for {layer.name}, which its recipe quantizes: "
                "export it again."
            )
        return self.weights[layer.name]

    def state_dict(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """Return a floating-point state dict, from which the model is built before it is quantized again."""
        rounded = {name: weight.dequantize(dtype) for name, weight in self.weights.items()}
        turned = {name: rounded[name].t().contiguous() for name in self.content.transposed}
        weights = {f"{name}.weight": weight for name, weight in {**rounded, **turned}.items()}
        return stack_experts({**self.floats, **weights}, self.content.stacked)


_BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, SafetensorError, RecipeError)
"""Exceptions of reading a damaged file."""


def read_checkpoint(directory: Path) -> ExportedCheckpoint:
    """Read what `Exporter` wrote.

    Raises:
        ModelSourceError: Files are missing, truncated, or of a newer version.
    """
    try:
        content = json.loads((directory / EXPORT_FILE).read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ModelSourceError(
                f"{directory / EXPORT_FILE} is of version {content['version']}, and this program reads version "
                f"{VERSION}: use the newer pytest-qeval that wrote it."
            )
        found = msgspec.convert(content, ExportContent)
        own = directory / OWN_WEIGHTS
        floats, weights = _read_tensors(own if own.is_file() else directory / WEIGHTS, found.recipe)
    except _BROKEN as error:
        raise ModelSourceError(f"{directory} is no whole quantized checkpoint ({error!r}): export it again.") from error
    return ExportedCheckpoint(content=found, floats=floats, weights=weights)


def _read_tensors(file: Path, recipe: Recipe) -> tuple[dict[str, torch.Tensor], dict[str, QuantizedWeight]]:
    with safe_open(file, "pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
    suffix = ".weight_scale"
    layers = [name.removesuffix(suffix) for name in tensors if name.endswith(suffix)]
    weights = {layer: _read_weight(layer, tensors, recipe) for layer in layers}
    own = {name for layer in layers for name in tensors if name.startswith(f"{layer}.") and not name.endswith(".bias")}
    return {name: tensor for name, tensor in tensors.items() if name not in own}, weights


def _read_weight(layer: str, tensors: Mapping[str, torch.Tensor], recipe: Recipe) -> QuantizedWeight:
    rule = rule_for(LayerPlan(names=(layer,)), recipe)
    if rule is None:
        raise KeyError(layer)
    scheme, scales = rule.weights, tensors[f"{layer}.weight_scale"]
    if scheme.bits == BYTE_BITS:
        values = tensors[f"{layer}.weight"]
    else:
        columns = int(tensors[f"{layer}.weight_shape"][1])
        values = unpack_int32(tensors[f"{layer}.weight_packed"], scheme.bits, columns)
    if scheme.granularity == "per_tensor":
        scales = scales.expand(values.shape[0], 1).contiguous()
    return QuantizedWeight(values, scales.float(), min(scheme.group_size or values.shape[1], values.shape[1]))
