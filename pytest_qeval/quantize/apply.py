"""`quantize_`: apply a recipe to a model in place, one layer after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval import registry
from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.kernels.activations import ActivationQuantizer, StaticRange
from pytest_qeval.quantize.kernels.int8_product import onednn_is_exact
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.mapped import MappedFiles
from pytest_qeval.quantize.kernels.simulated import SimulatedLinear
from pytest_qeval.quantize.kernels.weight_only import WeightOnlyLinear, weight_only_kernel
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, packed_bytes, quantize_weight
from pytest_qeval.quantize.places import AnyLinear, Place, plan_places, record_kept, weight_of
from pytest_qeval.quantize.quantization import ExecutionKind, LayerRecord, Quantization
from pytest_qeval.quantize.quantizer import Quantizer
from pytest_qeval.quantize.recipe import LayerRule, Recipe, WeightScheme

__all__ = ["NO_RANGES", "Rounding", "quantize_"]

Rounding = Callable[[Place, torch.Tensor], QuantizedWeight]
"""Gives a layer's integers, from its floating-point weight `[out_features, in_features]` or from elsewhere."""

NO_RANGES: Mapping[str, StaticRange] = MappingProxyType({})

_FAMILIES = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers that get the same input in Llama, Qwen, Mistral, Gemma, StarCoder2 and their kin. Only speed depends on it."""

_FEW_ROWS = "{bits}-bit weights pay at up to about 8 rows at a time; wider batches and prefill are slower than {dtype}"


class _Built(NamedTuple):
    """What takes the place of a group of layers: None for one that stays, with other numbers in it."""

    layers: Sequence[nn.Module | None]
    bytes_after: Sequence[int]
    execution: ExecutionKind
    note: str = ""


def quantize_(
    model: nn.Module,
    recipe: Recipe,
    *,
    ranges: Mapping[str, StaticRange] = NO_RANGES,
    rounding: Rounding | None = None,
    show_texts: Callable[[], None] = lambda: None,
    within: str = "",
) -> Quantization:
    """Quantize the model's linear layers in place and say what was done.

    Layers that share an input are replaced before the next ones are touched: memory peaks at the model plus these.
    Embeddings and norms are never touched, and neither is an output layer that shares its weight with an embedding.

    Args:
        model: Any model with `nn.Linear` or GPT-2's `Conv1D`, encoder-decoders too.
        recipe: What to do.
        ranges: By layer name, what calibration has found for layers with static activations.
        rounding: Where integers come from; by default weights are rounded as the recipe says.
        show_texts: Runs the model over calibration texts; for quantizers of other packages that observe them.

        within: Only this layer, or the layers of this module; for this package's own schemes.

    Raises:
        RecipeError: The model has no linear layer that the recipe does not keep.
    """
    start = time.perf_counter()
    if recipe.quantizer:
        quantizer: Quantizer = registry.load("quantizers", recipe.quantizer)
        done: Quantization = quantizer.apply(model, recipe, show_texts)
        return done
    parameters = sum(parameter.numel() for parameter in model.parameters())
    records: dict[str, LayerRecord] = {}
    places = [place for place in plan_places(model, recipe) if _is_within(place, within)] if recipe.quantizes else []
    for place in places:
        if place.kept:
            records[place.name] = record_kept(place, model)
    files = MappedFiles()
    for group in _siblings(model, [place for place in places if not place.kept], ranges):
        records |= _quantize_group(model, group, ranges, rounding or _round, files)
    return Quantization(
        layers=tuple(records[place.name] for place in places),
        parameters=parameters,
        duration_s=time.perf_counter() - start,
    )


def _is_within(place: Place, module: str) -> bool:
    return not module or place.name == module or place.name.startswith(f"{module}.")


def _family(place: Place) -> tuple[str, ...]:
    """Return a key that layers share when their parent feeds them the same tensor, judged by their names."""
    parent, _, leaf = place.name.rpartition(".")
    family = next((family for family in _FAMILIES if leaf in family), None)
    return (parent, *family) if family and len(place.names) == 1 else place.names


def _siblings(model: nn.Module, places: Sequence[Place], ranges: Mapping[str, StaticRange]) -> list[list[Place]]:
    """Group the layers that share integer inputs and their scheme; nothing else is gained by being together."""
    groups: dict[tuple[object, ...], list[Place]] = {}
    for place in places:
        family = _family(place) if _rule(place).activations else place.names
        weight = place.find(model).weight
        shape = weight.shape[0] if isinstance(place.find(model), Conv1D) else weight.shape[1]
        groups.setdefault((family, place.rule, shape, weight.dtype, ranges.get(place.name)), []).append(place)
    return list(groups.values())


def _round(place: Place, weight: torch.Tensor) -> QuantizedWeight:
    return quantize_weight(weight, _rule(place).weights)


def _rule(place: Place) -> LayerRule:
    assert place.rule is not None  # noqa: S101 - kept layers have been sorted out
    return place.rule


def _quantize_group(
    model: nn.Module,
    group: Sequence[Place],
    ranges: Mapping[str, StaticRange],
    rounding: Rounding,
    files: MappedFiles,
) -> dict[str, LayerRecord]:
    """Round the weights of layers that share their input, and put what computes with them in their places."""
    layers = [place.find(model) for place in group]
    floats = [weight_of(layer) for layer in layers]
    weights = [rounding(place, weight) for place, weight in zip(group, floats, strict=True)]
    rule = _rule(group[0])
    built = (
        _integers(group[0], rule, layers, weights, ranges)
        if rule.activations
        else _weight_only(rule, layers[0], weights[0])
    )
    records = {}
    for place, weight, new, size in zip(group, floats, built.layers, built.bytes_after, strict=True):
        if new is not None:
            place.put(model, new)
        files.release(weight)
        records[place.name] = LayerRecord(
            name=place.name,
            shape=(weight.shape[0], weight.shape[1]),
            bits=rule.weights.bits,
            kept=False,
            bytes_before=weight.nbytes,
            bytes_after=size,
            granularity=_granularity(rule.weights),
            execution=built.execution,
            note=built.note,
        )
    return records


def _integers(
    first: Place,
    rule: LayerRule,
    layers: Sequence[AnyLinear],
    weights: Sequence[QuantizedWeight],
    ranges: Mapping[str, StaticRange],
) -> _Built:
    """Make layers of integer weights and integer activations."""
    assert rule.activations is not None  # noqa: S101 - the caller has looked
    if not rule.activations.dynamic and first.name not in ranges:
        raise RecipeError(f"layer {first.name} has static activations, and calibration has never seen its input.")
    activations = ActivationQuantizer(rule.activations, None if rule.activations.dynamic else ranges[first.name])
    biases = [layer.bias for layer in layers]
    if weights[0].scales.shape[1] == 1:
        made = Int8Linear.together(weights, biases, activations, layers[0].weight.dtype)
        return _Built(made, [layer.weight_bytes for layer in made], "native", _int8_note(rule, layers[0]))
    dtype = layers[0].weight.dtype
    return _Built(
        [
            SimulatedLinear(weight.dequantize(dtype), bias, activations)
            for weight, bias in zip(weights, biases, strict=True)
        ],
        [packed_bytes(weight_of(layer), rule.weights) for layer in layers],
        "simulated",
        "several scales in a row of weights have no int8 kernel: simulated in floating point",
    )


def _int8_note(rule: LayerRule, layer: AnyLinear) -> str:
    held = "" if rule.weights.bits == 8 else f"{rule.weights.bits}-bit weights are held and multiplied as int8"  # noqa: PLR2004
    slow = layer.weight.device.type == "cpu" and not onednn_is_exact()
    return "no speed-up on this CPU: it has no fast int8 product (VNNI)" if slow else held


def _weight_only(rule: LayerRule, layer: AnyLinear, weight: QuantizedWeight) -> _Built:
    """Make a layer of integer weights and floating-point activations."""
    kernel = weight_only_kernel(weight, bits=rule.weights.bits, dtype=layer.weight.dtype)
    if kernel is not None:
        made = WeightOnlyLinear(weight, kernel, layer.bias, layer.weight.dtype)
        note = _FEW_ROWS.format(bits=rule.weights.bits, dtype=str(layer.weight.dtype).removeprefix("torch."))
        return _Built([made], [kernel.nbytes], "native", note)
    size = packed_bytes(weight_of(layer), rule.weights)
    _overwrite(layer, weight)
    where = layer.weight.device.type
    kind = f"{_granularity(rule.weights)} weights of {rule.weights.bits} bits"
    return _Built([None], [size], "simulated", f"no {where} kernel multiplies {kind} here: simulated in floating point")


def _overwrite(layer: AnyLinear, weight: QuantizedWeight) -> None:
    """Put rounded numbers into a layer; a new tensor takes the old one's place, which may be a mapped file."""
    rounded = weight.dequantize(layer.weight.dtype)
    layer.weight.data = rounded.t().contiguous() if isinstance(layer, Conv1D) else rounded


def _granularity(scheme: WeightScheme) -> str:
    return f"per_group({scheme.group_size})" if scheme.group_size is not None else scheme.granularity
