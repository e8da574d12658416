"""Read an exported checkpoint back to the very same integers; `checkpoints.export` writes it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from pytest_qeval.quantize.recipe import EXPORT_FILE, Recipe, WeightScheme

VERSION = 1
BYTE_BITS = 8
"""Integers of 8 bits are stored as they are, smaller ones are packed."""
_SCALE = ".weight_scale"
"""What ends the name of a quantized layer's scales."""


class ExportContent(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `qeval.json`."""

    version: int = VERSION
    recipe: Recipe
    ranges: dict[str, StaticRange]
    transposed: tuple[str, ...]
    """Layers whose weight the model stores as `[in_features, out_features]`."""
    stacked: dict[str, bool] = {}
    """Tensors of experts that the export holds one by one, each with whether the model stores it transposed."""


class StoredWeights(Mapping[str, QuantizedWeight]):
    """The integers of an exported checkpoint by name of the layer, read when they are asked for."""

    def __init__(self, tensors: Any, recipe: Recipe) -> None:
        """Take an open safetensors file.

        Raises:
            KeyError: A tensor of a layer is missing, or the recipe does not quantize the layer.
        """
        self._tensors = tensors
        names = frozenset(tensors.keys())
        layers = [name.removesuffix(_SCALE) for name in names if name.endswith(_SCALE)]
        self._schemes = {layer: _scheme(layer, recipe) for layer in sorted(layers)}
        self.shapes = {layer: self._shape(layer, names) for layer in self._schemes}
        """Of each layer's weight, `(out_features, in_features)`."""

    def __getitem__(self, layer: str) -> QuantizedWeight:
        """Read one layer."""
        scheme, columns = self._schemes[layer], self.shapes[layer][1]
        scales = self._tensors.get_tensor(f"{layer}{_SCALE}")
        if scheme.bits == BYTE_BITS:
            values = self._tensors.get_tensor(f"{layer}.weight")
        else:
            values = unpack_int32(self._tensors.get_tensor(f"{layer}.weight_packed"), scheme.bits, columns)
        if scheme.granularity == "per_tensor":
            scales = scales.expand(values.shape[0], 1).contiguous()
        return QuantizedWeight(values, scales.float(), min(scheme.group_size or columns, columns))

    def __iter__(self) -> Iterator[str]:
        """Name the layers."""
        return iter(self._schemes)

    def __len__(self) -> int:
        """Count the layers."""
        return len(self._schemes)

    def _shape(self, layer: str, names: Collection[str]) -> tuple[int, int]:
        packed = self._schemes[layer].bits != BYTE_BITS
        if (missing := f"{layer}.{'weight_packed' if packed else 'weight'}") not in names:
            raise KeyError(missing)
        if packed:
            rows, columns = self._tensors.get_tensor(f"{layer}.weight_shape").tolist()
        else:
            rows, columns = self._tensors.get_slice(f"{layer}.weight").get_shape()
        return rows, columns


def _scheme(layer: str, recipe: Recipe) -> WeightScheme:
    rule = rule_for(LayerPlan(names=(layer,)), recipe)
    if rule is None:
        raise KeyError(layer)
    return rule.weights


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedCheckpoint:
    """An exported checkpoint, of which only the names and shapes have been read."""

    content: ExportContent
    floats: Mapping[str, torch.Tensor]
    """Tensors that are not quantized, by their name in the state dict; of a mapped file."""
    weights: StoredWeights

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

    def take(self, name: str, _: torch.Tensor) -> bool:
        """Let a model have no values for a parameter whose integers are all stored."""
        layer = name.removesuffix(".weight")
        return name in self._whole_stacks or (layer in self.weights and _stack(layer) not in self.content.stacked)

    def state_dict(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """Return a state dict from which the model is built; zeros that take no memory stand for integers.

        Raises:
            KeyError: There are no integers for a layer that should have some.
        """
        shapes, whole = self.weights.shapes, self._whole_stacks
        state = {**self.floats}
        for name, shape in shapes.items():
            if _stack(name) not in self.content.stacked:
                turned = shape[::-1] if name in self.content.transposed else shape
                state[f"{name}.weight"] = torch.zeros((), dtype=dtype).expand(turned)
            elif _stack(name) not in whole:
                state[f"{name}.weight"] = self.weights[name].dequantize(dtype)
        stored = (*self.content.transposed, *(f"{stack}.0" for stack in whole))
        if missing := next((name for name in stored if name not in shapes), None):
            raise KeyError(missing)
        joined = stack_experts(state, self.content.stacked)
        for stack, transposed in whole.items():
            one = shapes[f"{stack}.0"]
            experts = sum(_stack(name) == stack for name in shapes)
            joined[stack] = torch.zeros((), dtype=dtype).expand(experts, *(one[::-1] if transposed else one))
        return joined

    @property
    def _whole_stacks(self) -> dict[str, bool]:
        """Stacks of experts that are all integers."""
        floats = {_stack(name.removesuffix(".weight")) for name in self.floats if name.endswith(".weight")}
        return {name: transposed for name, transposed in self.content.stacked.items() if name not in floats}


def _stack(layer: str) -> str:
    return layer.rpartition(".")[0]


_BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, SafetensorError, RecipeError)
"""Exceptions of reading a damaged file."""


def read_checkpoint(directory: Path) -> ExportedCheckpoint:
    """Read what `Exporter` wrote; values are read later.

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
        tensors = safe_open(own if own.is_file() else directory / WEIGHTS, "pt")
        weights = StoredWeights(tensors, found.recipe)
        floats = _floats(tensors, weights)
    except _BROKEN as error:
        raise ModelSourceError(f"{directory} is no whole quantized checkpoint ({error!r}): export it again.") from error
    return ExportedCheckpoint(content=found, floats=floats, weights=weights)


def _floats(tensors: Any, weights: StoredWeights) -> dict[str, torch.Tensor]:
    """Return the tensors that belong to no quantized layer, and the biases."""
    layers = frozenset(weights)
    names = (name for name in tensors.keys() if name.endswith(".bias") or _stack(name) not in layers)  # noqa: SIM118
    return {name: tensors.get_tensor(name) for name in names}
