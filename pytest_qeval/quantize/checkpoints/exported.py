"""Quantized checkpoints that were exported, read back to the very same integers; `quantize.export` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from pytest_qeval.errors import ModelSourceError, RecipeError
from pytest_qeval.quantize.checkpoints.packing import unpack
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.weights import QuantizedWeight
from pytest_qeval.quantize.places import Place, rule_for
from pytest_qeval.quantize.recipe import (
    EXPORT_FILE,
    ActivationScheme,
    CalibrationPlan,
    LayerRule,
    Recipe,
    WeightScheme,
)

__all__ = ["BYTE_BITS", "OWN_WEIGHTS", "VERSION", "WEIGHTS", "StoredCheckpoint", "read_checkpoint"]

WEIGHTS = "model.safetensors"
OWN_WEIGHTS = "qeval.safetensors"
"""Where weights lie that other programs would read wrongly."""
VERSION = 1
BYTE_BITS = 8
"""Integers of so many bits are stored as they are, fewer are packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """What was read back."""

    recipe: Recipe
    ranges: Mapping[str, StaticRange]
    floats: Mapping[str, torch.Tensor]
    """What was not quantized, by its name in the state dict."""
    weights: Mapping[str, QuantizedWeight]
    """By name of the layer."""
    transposed: frozenset[str]
    """Layers that the model itself holds as `[in_features, out_features]`."""

    def round(self, place: Place, weight: torch.Tensor) -> QuantizedWeight:
        """Return a layer's stored integers instead of rounding `weight`; a `Rounding`.

        Raises:
            ModelSourceError: when there are none for this layer.
        """
        del weight
        if place.name not in self.weights:
            raise ModelSourceError(
                f"the quantized checkpoint holds no integers for {place.name}, which its recipe quantizes: "
                "export it again."
            )
        return self.weights[place.name]

    def state_dict(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """Return a state dict in floating point, with which the model can be built before it is quantized again."""
        rounded = {name: weight.dequantize(dtype) for name, weight in self.weights.items()}
        turned = {name: rounded[name].t().contiguous() for name in self.transposed}
        return {**self.floats, **{f"{name}.weight": weight for name, weight in {**rounded, **turned}.items()}}


_BROKEN = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError),
    *(SafetensorError, RecipeError),
)
"""What reading raises where a file is not what it should be."""


def read_checkpoint(directory: Path) -> StoredCheckpoint:
    """Read what `Exporter` wrote.

    Raises:
        ModelSourceError: when files are missing, cut short, or of a newer version.
    """
    try:
        content = json.loads((directory / EXPORT_FILE).read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ModelSourceError(
                f"{directory / EXPORT_FILE} is of version {content['version']}, and this program reads version "
                f"{VERSION}: use the newer pytest-qeval that wrote it."
            )
        recipe = _recipe(content["recipe"])
        ranges = {name: StaticRange(**static) for name, static in content["ranges"].items()}
        transposed = frozenset(content["transposed"])
        floats, weights = _read_tensors(_weight_file(directory), recipe)
    except _BROKEN as error:
        raise ModelSourceError(f"{directory} is no whole quantized checkpoint ({error!r}): export it again.") from error
    return StoredCheckpoint(recipe=recipe, ranges=ranges, floats=floats, weights=weights, transposed=transposed)


def _recipe(row: dict[str, Any]) -> Recipe:
    """Read what `asdict` made of a recipe, through JSON."""
    plan = row["calibration"]
    return Recipe(
        **{
            **row,
            "kept": tuple(row["kept"]),
            "weights": row["weights"] and WeightScheme(**row["weights"]),
            "activations": row["activations"] and ActivationScheme(**row["activations"]),
            "calibration": plan and CalibrationPlan(**plan),
            "rules": tuple(
                LayerRule(
                    pattern=rule["pattern"],
                    weights=WeightScheme(**rule["weights"]),
                    activations=rule["activations"] and ActivationScheme(**rule["activations"]),
                )
                for rule in row["rules"]
            ),
        }
    )


def _weight_file(directory: Path) -> Path:
    own = directory / OWN_WEIGHTS
    return own if own.is_file() else directory / WEIGHTS


def _read_tensors(file: Path, recipe: Recipe) -> tuple[dict[str, torch.Tensor], dict[str, QuantizedWeight]]:
    with safe_open(file, "pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
    suffix = ".weight_scale"
    layers = [name.removesuffix(suffix) for name in tensors if name.endswith(suffix)]
    weights = {layer: _read_weight(layer, tensors, recipe) for layer in layers}
    own = {name for layer in layers for name in tensors if name.startswith(f"{layer}.") and not name.endswith(".bias")}
    return {name: tensor for name, tensor in tensors.items() if name not in own}, weights


def _read_weight(layer: str, tensors: Mapping[str, torch.Tensor], recipe: Recipe) -> QuantizedWeight:
    rule = rule_for(Place(names=(layer,)), recipe)
    if rule is None:
        raise KeyError(layer)
    scheme, scales = rule.weights, tensors[f"{layer}.weight_scale"]
    if scheme.bits == BYTE_BITS:
        values = tensors[f"{layer}.weight"]
    else:
        columns = int(tensors[f"{layer}.weight_shape"][1])
        values = unpack(tensors[f"{layer}.weight_packed"], scheme.bits, columns)
    if scheme.granularity == "per_tensor":
        scales = scales.expand(values.shape[0], 1).contiguous()
    return QuantizedWeight(values, scales.float(), min(scheme.group_size or values.shape[1], values.shape[1]))
