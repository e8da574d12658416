"""`quantize_`: apply a recipe to a model in place, layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval import registry
from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.experts import unpack_experts_
from pytest_qeval.quantize.heap import ReplacedWeights, trim_heap
from pytest_qeval.quantize.kernels.activations import ActivationQuantizer, StaticRange
from pytest_qeval.quantize.kernels.int8_product import onednn_is_exact
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.simulated import SimulatedLinear
from pytest_qeval.quantize.kernels.weight_only import Int4Kernel, WeightOnlyLinear, weight_only_kernel
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, packed_bytes, quantize_weight
from pytest_qeval.quantize.layers import (
    AnyLinear,
    LayerPlan,
    embedding_parameters,
    plan_layers,
    record_kept,
    record_others,
    weight_of,
)
from pytest_qeval.quantize.memory_mapped import MappedFiles
from pytest_qeval.quantize.quantization import ExecutionKind, LayerRecord, Quantization, Quantizer
from pytest_qeval.quantize.recipe import LayerRule, Recipe, WeightScheme

Rounding = Callable[[LayerPlan, torch.Tensor], QuantizedWeight]
"""Return a layer's integers, given its floating-point weight `[out_features, in_features]`.

The weight is on the meta device where it has been rounded before (`quantize.early`), or was stored as integers."""

NO_RANGES: Mapping[str, StaticRange] = MappingProxyType({})

_FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers that share their input in Llama, Qwen, Mistral, Gemma, StarCoder2 and similar models. Only speed depends on
it."""

_FEW_ROWS = "{bits}-bit weights pay {where}; wider batches and prefill are slower than {dtype}"


class _Replacement(NamedTuple):
    """What replaces a group of layers."""

    modules: Sequence[nn.Module | None]
    """None for a module that stays, with a rounded weight."""
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
    """Quantize the model's linear layers in place.

    Layers that share an input are replaced before the next ones are touched, so that memory peaks at the model plus
    these layers. Embeddings, norms and output layers tied to an embedding are never quantized.

    Args:
        model: Any model with `nn.Linear` or GPT-2's `Conv1D`, encoder-decoders and mixtures of experts included.
        recipe: What to do.
        ranges: Calibrated input ranges of the layers with static activations, by layer name.
        rounding: Returns the integers of a layer; by default its weight is rounded as the recipe says.
        show_texts: Runs the model over calibration texts, for quantizers of other packages that observe activations.
        within: Quantize only this layer, or the layers of this module; for this package's own schemes.

    Raises:
        RecipeError: The model has no linear layer to quantize, or the recipe does not fit it.
    """
    start = time.perf_counter()
    if recipe.quantizes:
        unpack_experts_(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    embeddings = embedding_parameters(model)
    records: Sequence[LayerRecord] = ()
    if recipe.quantizer:
        quantizer: Quantizer = registry.load("quantizers", recipe.quantizer)
        records = quantizer.apply(model, recipe, show_texts)
        records = [*records, *record_others(model, records)]
    elif recipe.quantizes:
        prefix = f"{within}." if within else ""
        plans = [plan for plan in plan_layers(model, recipe) if f"{plan.name}.".startswith(prefix)]
        records = _quantize_layers(model, plans, ranges, rounding or round_weight)
        records = [*records, *(record_others(model, records) if not within else ())]
    return Quantization(
        layers=tuple(records),
        parameters=parameters,
        embeddings=embeddings,
        duration_s=time.perf_counter() - start,
    )


def _quantize_layers(
    model: nn.Module, plans: Sequence[LayerPlan], ranges: Mapping[str, StaticRange], rounding: Rounding
) -> list[LayerRecord]:
    """Replace all layers that are not kept; the records are in the order of `plans`."""
    records = {plan.name: record_kept(plan, model) for plan in plans if plan.kept}
    files, replaced = MappedFiles(), ReplacedWeights()
    for group in _groups(model, [plan for plan in plans if not plan.kept], ranges):
        for record in _quantize_group(model, group, ranges, rounding, files):
            records[record.name] = record
            replaced.add(record.bytes_before)
    trim_heap()
    return [records[plan.name] for plan in plans]


def _groups(model: nn.Module, plans: Sequence[LayerPlan], ranges: Mapping[str, StaticRange]) -> list[list[LayerPlan]]:
    """Group the layers that share quantized inputs and their scheme; all others are groups of one."""
    groups: dict[tuple[object, ...], list[LayerPlan]] = {}
    for plan in plans:
        inputs = _input_key(plan) if _rule(plan).activations else plan.names
        weight = weight_of(plan.module(model))
        groups.setdefault((inputs, plan.rule, weight.shape[1], weight.dtype, ranges.get(plan.name)), []).append(plan)
    return list(groups.values())


def _input_key(plan: LayerPlan) -> tuple[str, ...]:
    """Return a key that layers have in common if, judged by their names, they get the same input."""
    parent, _, leaf = plan.name.rpartition(".")
    fused = next((leaves for leaves in _FUSED if leaf in leaves), None)
    return (parent, *fused) if fused and len(plan.names) == 1 else plan.names


def round_weight(plan: LayerPlan, weight: torch.Tensor) -> QuantizedWeight:
    """Round a weight as the recipe says; the default `Rounding`."""
    return quantize_weight(weight, _rule(plan).weights)


def _rule(plan: LayerPlan) -> LayerRule:
    assert plan.rule is not None  # noqa: S101 - only layers that are quantized
    return plan.rule


def _quantize_group(
    model: nn.Module,
    group: Sequence[LayerPlan],
    ranges: Mapping[str, StaticRange],
    rounding: Rounding,
    files: MappedFiles,
) -> Iterator[LayerRecord]:
    """Round the weights of layers that share their input, and replace the layers."""
    modules = [plan.module(model) for plan in group]
    floats = [weight_of(module) for module in modules]
    weights = [rounding(plan, weight) for plan, weight in zip(group, floats, strict=True)]
    rule = _rule(group[0])
    made = (
        _integer_layers(group[0].name, rule, modules, weights, ranges)
        if rule.activations
        else _weight_only_layer(rule, modules[0], weights[0])
    )
    for plan, weight, rounded, new, size in zip(group, floats, weights, made.modules, made.bytes_after, strict=True):
        if new is not None:
            plan.replace(model, new)
        files.release(weight)
        files.release(rounded.values)
        yield LayerRecord(
            name=plan.name,
            shape=(weight.shape[0], weight.shape[1]),
            bits=rule.weights.bits,
            bytes_before=weight.nbytes,
            bytes_after=size,
            granularity=_granularity(rule.weights),
            execution=made.execution,
            note=made.note,
        )


def _integer_layers(
    name: str,
    rule: LayerRule,
    modules: Sequence[AnyLinear],
    weights: Sequence[QuantizedWeight],
    ranges: Mapping[str, StaticRange],
) -> _Replacement:
    """Make layers with quantized weights and activations; `name` is the first layer's."""
    assert rule.activations is not None  # noqa: S101 - checked by the caller
    if not rule.activations.dynamic and name not in ranges:
        raise RecipeError(f"layer {name} has static activations, and calibration has never seen its input.")
    activations = ActivationQuantizer(rule.activations, None if rule.activations.dynamic else ranges[name])
    biases, dtype = [module.bias for module in modules], modules[0].weight.dtype
    if weights[0].scales.shape[1] == 1:
        made = Int8Linear.fuse(weights, biases, activations, dtype)
        note = _int8_note(rule, weights[0].values.device)
        return _Replacement(made, [layer.weight_bytes for layer in made], "native", note)
    return _Replacement(
        [
            SimulatedLinear(weight.dequantize(dtype), bias, activations)
            for weight, bias in zip(weights, biases, strict=True)
        ],
        [packed_bytes(weight_of(module), rule.weights) for module in modules],
        "simulated",
        "several scales in a row of weights have no int8 kernel: simulated in floating point",
    )


def _int8_note(rule: LayerRule, device: torch.device) -> str:
    if device.type == "cpu" and not onednn_is_exact():
        return "no speed-up on this CPU: it has no fast int8 product (VNNI)"
    return "" if rule.weights.bits == 8 else f"{rule.weights.bits}-bit weights are held and multiplied as int8"  # noqa: PLR2004


def _weight_only_layer(rule: LayerRule, module: AnyLinear, weight: QuantizedWeight) -> _Replacement:
    """Make a layer with quantized weights and floating-point activations."""
    scheme, dtype = rule.weights, module.weight.dtype
    kernel = weight_only_kernel(weight, bits=scheme.bits, dtype=dtype)
    if kernel is not None:
        where = "at up to about 8 rows at a time" if isinstance(kernel, Int4Kernel) else "for a single stream"
        note = _FEW_ROWS.format(bits=scheme.bits, where=where, dtype=str(dtype).removeprefix("torch."))
        return _Replacement([WeightOnlyLinear(weight, kernel, module.bias, dtype)], [kernel.nbytes], "native", note)
    # The rounded weight is a new parameter: the old one may be a memory-mapped file, or on the meta device.
    rounded = weight.dequantize(dtype)
    values = rounded.t().contiguous() if isinstance(module, Conv1D) else rounded
    module.weight = nn.Parameter(values, requires_grad=module.weight.requires_grad)
    kind = f"{module.weight.device.type} kernel multiplies {_granularity(scheme)} weights of {scheme.bits} bits"
    size = packed_bytes(rounded, scheme)
    return _Replacement([None], [size], "simulated", f"no {kind} here: simulated in floating point")


def _granularity(scheme: WeightScheme) -> str:
    return f"per_group({scheme.group_size})" if scheme.group_size is not None else scheme.granularity
