"""Round weights while a model is being loaded, so that it is never held in floating point as a whole."""

from __future__ import annotations

import time
from collections import Counter
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import pad
from transformers.pytorch_utils import Conv1D

from pytest_qeval.quantize.apply import round_weight
from pytest_qeval.quantize.experts import stacked_experts, unpack_experts_
from pytest_qeval.quantize.kernels.weights import QuantizedWeight
from pytest_qeval.quantize.layers import LayerPlan, plan_layers
from pytest_qeval.quantize.recipe import Recipe

_HALF_BYTE = 4
_LARGEST = 7
"""Magnitude of integers of 4 bits."""


class _Held(NamedTuple):
    weight: QuantizedWeight
    columns: int | None
    """Of the weight, where two of its values share a byte; None where they do not."""


class _Part(NamedTuple):
    """A layer's share of a parameter."""

    layer: LayerPlan
    expert: int | None
    """Its place in a stack of experts; None for a parameter that is the layer's own."""
    transposed: bool
    """Whether the parameter is `[…, in_features, out_features]`."""


class EarlyRounding:
    """Rounds weights that a loader sets, and gives their integers to `quantize_`, which makes the layers of them.

    Until then integers of 4 bits and fewer take half a byte each, so that memory does not depend on when layers are
    made.
    """

    def __init__(self, skeleton: nn.Module, recipe: Recipe) -> None:
        """Plan the layers of a model without weights, whose experts are unpacked.

        Raises:
            RecipeError: The recipe finds nothing to quantize.
        """
        self._parts = _parts(skeleton, recipe)
        self._held: dict[str, _Held] = {}
        self.duration_s = 0.0
        """Seconds of rounding so far."""

    def take(self, name: str, tensor: torch.Tensor) -> bool:
        """Round a parameter if the recipe quantizes all of it."""
        started = time.perf_counter()
        for part in self._parts.get(name, ()):
            own = tensor if part.expert is None else tensor[part.expert]
            weight = round_weight(part.layer, own.t() if part.transposed else own)
            self._held[part.layer.name] = _hold(weight)
        self.duration_s += time.perf_counter() - started
        return name in self._parts

    def fits(self, model: nn.Module, recipe: Recipe) -> bool:
        """Return whether all that was rounded is to be quantized in the model that was loaded."""
        unpack_experts_(model)
        quantized = {name for plan in plan_layers(model, recipe) if not plan.kept for name in plan.names}
        return quantized.issuperset(self._held)

    def round(self, layer: LayerPlan, weight: torch.Tensor) -> QuantizedWeight:
        """Return a layer's integers, and forget them; a `Rounding`."""
        held = next((self._held.pop(name) for name in layer.names if name in self._held), None)
        if held is not None:
            return _restore(held)
        return round_weight(layer, weight)


def _parts(skeleton: nn.Module, recipe: Recipe) -> dict[str, list[_Part]]:
    """Return the layers that are made of each parameter; no parameter that anything else needs."""
    plans = plan_layers(skeleton, recipe)
    uses = Counter(id(plan.module(skeleton).weight) for plan in plans)
    rounded = {
        name: plan
        for plan in plans
        if not plan.kept and uses[id(plan.module(skeleton).weight)] == 1
        for name in plan.names
    }
    parts = {
        f"{name}.weight": [_Part(plan, None, isinstance(plan.module(skeleton), Conv1D))]
        for name, plan in rounded.items()
    }
    for stack, transposed in stacked_experts(skeleton).items():
        experts = [f"{stack}.{index}" for index, _ in enumerate(skeleton.get_submodule(stack).children())]
        if all(name in rounded for name in experts):
            parts[stack] = [_Part(rounded[name], index, transposed) for index, name in enumerate(experts)]
    return parts


def _hold(weight: QuantizedWeight) -> _Held:
    if weight.values.numel() and int(weight.values.abs().amax()) > _LARGEST:
        return _Held(weight, None)
    columns = weight.values.shape[1]
    even = pad(weight.values, (0, columns % 2))
    return _Held(weight._replace(values=(even[:, ::2] & 15).bitwise_or_(even[:, 1::2] << _HALF_BYTE)), columns)


def _restore(held: _Held) -> QuantizedWeight:
    if held.columns is None:
        return held.weight
    packed = held.weight.values
    values = torch.stack(((packed << _HALF_BYTE) >> _HALF_BYTE, packed >> _HALF_BYTE), dim=-1)
    return held.weight._replace(values=values.flatten(1)[:, : held.columns].contiguous())
