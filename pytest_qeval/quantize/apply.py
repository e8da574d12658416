"""`quantize_`: apply a recipe to a model in place, one layer after the other."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, cast

import torch
from torch import nn

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.linear import Int8Linear
from pytest_qeval.quantize.recipe import Recipe, WeightScheme
from pytest_qeval.quantize.simulated import packed_bytes, round_weight

__all__ = ["ExecutionKind", "LayerRecord", "Quantization", "quantize_"]

_Names = tuple[str, ...]
"""Every name of one module: it may hang at several places."""

_FAMILIES = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers that get the same input in Llama, Qwen, Mistral, Gemma, StarCoder2 and their kin. Only speed depends on it."""

ExecutionKind = Literal["native", "simulated", "full precision"]
"""native: an integer kernel computes. simulated: rounded weights, floating-point arithmetic: speed and size are not
those of the scheme. full precision: nothing was rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """What became of one linear layer."""

    name: str
    shape: tuple[int, int]
    """(out_features, in_features)"""
    bits: int
    """Bits per weight, scales not counted; those of the floating-point type where the layer is kept."""
    kept: bool
    bytes_before: int
    """Of the weight, without the bias."""
    bytes_after: int
    """Of the weight with its scales; where execution is simulated, what packed storage would need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """What `quantize_` did to a model."""

    execution: ExecutionKind
    layers: tuple[LayerRecord, ...]
    """Every linear layer once, kept ones included, in the model's order; empty when nothing was quantized."""
    parameters: int
    """Of the whole model before quantization, shared ones counted once."""
    duration_s: float
    peak_bytes: int | None
    """Highest allocation while quantizing, the model included, as CUDA's allocator counts it; None on a CPU, where
    nobody counts."""

    @property
    def quantized_layers(self) -> int:
        """How many layers were quantized."""
        return sum(not layer.kept for layer in self.layers)

    @property
    def quantized_share(self) -> float:
        """Share of the model's parameters that were quantized, 0 to 1."""
        quantized = sum(layer.shape[0] * layer.shape[1] for layer in self.layers if not layer.kept)
        return quantized / self.parameters if self.parameters else 0.0

    @property
    def bytes_before(self) -> int:
        """Bytes of the quantized layers' weights in floating point."""
        return sum(layer.bytes_before for layer in self.layers if not layer.kept)

    @property
    def bytes_after(self) -> int:
        """Bytes of the quantized layers' weights and scales now (or in packed storage, where simulated)."""
        return sum(layer.bytes_after for layer in self.layers if not layer.kept)

    @property
    def saved_bytes(self) -> int:
        """Bytes that the scheme saves; where execution is simulated, what packed storage would save."""
        return self.bytes_before - self.bytes_after


def quantize_(model: nn.Module, recipe: Recipe) -> Quantization:
    """Quantize the model's linear layers in place and say what was done.

    Layers that share an input are replaced before the next ones are touched: memory peaks at the model plus these.
    Embeddings and norms are never touched, and neither is an output layer that shares its weight with an embedding.

    Raises:
        RecipeError: The model has no `nn.Linear` that the recipe does not keep, or nothing here computes its scheme.
    """
    start = time.perf_counter()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    layers = _quantize_layers(model, recipe, recipe.weights) if recipe.weights else ()
    return Quantization(
        execution=_execution(recipe),
        layers=layers,
        parameters=parameters,
        duration_s=time.perf_counter() - start,
        peak_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def _execution(recipe: Recipe) -> ExecutionKind:
    """Say how a recipe is computed here: int8 weights with int8 activations have kernels, weights alone have none."""
    if recipe.weights is None:
        return "full precision"
    if recipe.activations is None:
        return "simulated"
    if recipe.weights.bits != recipe.activations.bits:
        raise RecipeError(f"recipe {recipe.name!r}: nothing here computes {recipe.scheme}; W8A8 and weights alone work")
    return "native"


def _quantize_layers(model: nn.Module, recipe: Recipe, scheme: WeightScheme) -> tuple[LayerRecord, ...]:
    """Quantize one group of linear layers after the other, holding none of them longer than its turn."""
    quantize = _simulate if _execution(recipe) == "simulated" else _replace
    places = _linear_places(model)
    kept = {names for names in places if _is_kept(model, names, recipe)}
    if len(kept) == len(places):
        raise RecipeError(_nothing_to_quantize(model, recipe, n_linear=len(places)))
    records = {names: _record_kept(model, names) for names in kept}
    for group in _siblings([names for names in places if names not in kept]):
        records |= quantize(model, group, scheme)
    return tuple(records[names] for names in places)


def _siblings(places: list[_Names]) -> list[list[_Names]]:
    """Group the layers that a parent feeds the same tensor, by the names that most architectures give them."""
    groups: dict[tuple[str, ...], list[_Names]] = {}
    for names in places:
        parent, _, leaf = names[0].rpartition(".")
        family = next((family for family in _FAMILIES if leaf in family), None)
        groups.setdefault((parent, *family) if family and len(names) == 1 else names, []).append(names)
    return list(groups.values())


def _linear_places(model: nn.Module) -> list[_Names]:
    """List the names of every linear layer; one that hangs at several places has several.

    Subclasses of `nn.Linear` are left alone: they compute something of their own, or are read by others (the output
    projection of `nn.MultiheadAttention`).
    """
    names: dict[int, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if type(module) is nn.Linear and name:
            names.setdefault(id(module), []).append(name)
    return [tuple(group) for group in names.values()]


def _is_kept(model: nn.Module, names: _Names, recipe: Recipe) -> bool:
    """Whether a pattern names the layer, or something that is no linear layer shares its weight."""
    leaves = {name.rpartition(".")[2] for name in names}
    if any(fnmatchcase(name, pattern) for pattern in recipe.kept for name in leaves.union(names)):
        return True
    weight = model.get_submodule(names[0]).weight
    others = (module for module in model.modules() if type(module) is not nn.Linear)
    return any(parameter is weight for module in others for parameter in module.parameters(recurse=False))


def _nothing_to_quantize(model: nn.Module, recipe: Recipe, *, n_linear: int) -> str:
    """Say why no layer matches, and what the model is made of instead."""
    kinds = Counter(
        type(module).__name__ for module in model.modules() if any(True for _ in module.parameters(recurse=False))
    )
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    kept = f" that it does not keep ({n_linear} kept)" if n_linear else ""
    return (
        f"recipe {recipe.name!r} quantizes nn.Linear layers, and {type(model).__name__} has none{kept}; "
        f"its parameters are in {found or 'no layer'}. Choose a recipe in full precision or another model"
    )


def _record_kept(model: nn.Module, names: _Names) -> LayerRecord:
    weight = _linear_at(model, names).weight
    return _record(names, weight, bits=8 * weight.element_size(), bytes_after=weight.nbytes, kept=True)


def _simulate(model: nn.Module, group: list[_Names], scheme: WeightScheme) -> dict[_Names, LayerRecord]:
    """Round weights; a new tensor takes the place of each, because the old one may be a mapped file."""
    records = {}
    for names in group:
        weight = _linear_at(model, names).weight
        weight.data = round_weight(weight.data, scheme)
        records[names] = _record(names, weight, bits=scheme.bits, bytes_after=packed_bytes(weight, scheme))
    return records


def _replace(model: nn.Module, group: list[_Names], scheme: WeightScheme) -> dict[_Names, LayerRecord]:
    """Put an `Int8Linear` at every place of every layer of a group."""
    linears = [_linear_at(model, names) for names in group]
    records = {}
    for names, linear, int8 in zip(group, linears, Int8Linear.from_linears(linears), strict=True):
        for name in names:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, int8)
        records[names] = _record(names, linear.weight, bits=scheme.bits, bytes_after=int8.weight_bytes)
    return records


def _linear_at(model: nn.Module, names: _Names) -> nn.Linear:
    return cast("nn.Linear", model.get_submodule(names[0]))


def _record(names: _Names, weight: torch.Tensor, *, bits: int, bytes_after: int, kept: bool = False) -> LayerRecord:
    rows, columns = weight.shape
    return LayerRecord(
        name=names[0],
        shape=(rows, columns),
        bits=bits,
        kept=kept,
        bytes_before=weight.nbytes,
        bytes_after=bytes_after,
    )
