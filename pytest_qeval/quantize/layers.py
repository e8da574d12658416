"""Find a model's linear layers, and decide which of them a recipe quantizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.quantization import LayerRecord
from pytest_qeval.quantize.recipe import LayerRule, Recipe
from pytest_qeval.quantize.rules import matches, rule_of

AnyLinear: TypeAlias = nn.Linear | Conv1D
"""`nn.Linear`, or GPT-2's equivalent, which stores its weight as `[in_features, out_features]`."""

_MATRICES = 3
_EXPERTS = "experts that transformers computes in a way of their own stay in floating point"

_LINEAR_TYPES = frozenset({nn.Linear, Conv1D})


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """What a recipe does with one linear layer."""

    names: tuple[str, ...]
    """All names of the module; a module may be registered in several places."""
    kept: bool = False
    rule: LayerRule | None = None
    """The recipe's scheme for the layer; None if it is kept, or if the quantizer of another package decides."""

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]

    def module(self, model: nn.Module) -> AnyLinear:
        """Return the layer's current module."""
        module = model.get_submodule(self.name)
        assert isinstance(module, (nn.Linear, Conv1D))  # noqa: S101 - plans are made for these types only
        return module

    def replace(self, model: nn.Module, layer: nn.Module) -> None:
        """Set another module under all names of this one."""
        for name in self.names:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, layer)


def weight_of(layer: AnyLinear) -> torch.Tensor:
    """Return a layer's weight as `[out_features, in_features]`, a view of the same memory."""
    return layer.weight.detach().t() if isinstance(layer, Conv1D) else layer.weight.detach()


def find_linear_layers(model: nn.Module) -> list[LayerPlan]:
    """List every linear layer once, in the model's order, without a rule.

    Subclasses are left out: they compute something of their own, or others read their weights (the output projection
    of `nn.MultiheadAttention`).
    """
    names: dict[int, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if type(module) in _LINEAR_TYPES and name:
            names.setdefault(id(module), []).append(name)
    return [LayerPlan(names=tuple(group)) for group in names.values()]


def plan_layers(
    model: nn.Module, recipe: Recipe, *, types: Collection[type[nn.Module]] = _LINEAR_TYPES
) -> list[LayerPlan]:
    """Decide for every linear layer which scheme it gets, or that it is kept.

    Kept are layers that match `recipe.kept`, layers without a scheme, layers of other types than `types`, and layers
    that share their weight with a module that is not linear, such as an output layer tied to the embeddings.

    Raises:
        RecipeError: No layer is left to be quantized.
    """
    shared = _shared_weights(model)
    plans = []
    for layer in find_linear_layers(model):
        module, rule = layer.module(model), rule_for(layer, recipe)
        kept = any(matches(layer.names, pattern) for pattern in recipe.kept) or id(module.weight) in shared
        kept = kept or type(module) not in types or (rule is None and not recipe.quantizer)
        plans.append(LayerPlan(names=layer.names, kept=kept, rule=None if kept else rule))
    if all(plan.kept for plan in plans):
        raise RecipeError(_nothing_to_quantize(model, recipe, n_linear=len(plans)))
    return plans


def rule_for(layer: LayerPlan, recipe: Recipe) -> LayerRule | None:
    """Return the recipe's scheme for a layer that is not kept; None if there is none."""
    return rule_of(layer.names, recipe)


def record_kept(layer: LayerPlan, model: nn.Module) -> LayerRecord:
    """Record a layer that stays in floating point."""
    return _record_float(layer.name, weight_of(layer.module(model)))


def record_others(model: nn.Module, records: Collection[LayerRecord]) -> Iterator[LayerRecord]:
    """Record the matrices that no linear layer of `records` holds, and that are no embeddings: they are kept too."""
    known = {record.name for record in records}
    for path, module in model.named_modules():
        if path in known or isinstance(module, nn.Embedding):
            continue
        for leaf, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1 and parameter.is_floating_point():
                note = _EXPERTS if "expert" in path and parameter.ndim == _MATRICES else ""
                yield _record_float(path if leaf == "weight" else f"{path}.{leaf}", parameter, note)


def _record_float(name: str, weight: torch.Tensor, note: str = "") -> LayerRecord:
    return LayerRecord(
        name=name,
        shape=(weight.shape[:-1].numel(), weight.shape[-1]),
        bits=8 * weight.itemsize,
        kept=True,
        bytes_before=weight.nbytes,
        bytes_after=weight.nbytes,
        note=note,
    )


def embedding_parameters(model: nn.Module) -> int:
    """Count the parameters of all embeddings, shared ones once; an output layer tied to one is among them."""
    weights = {id(module.weight): module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
    return sum(weight.numel() for weight in weights.values())


def _shared_weights(model: nn.Module) -> set[int]:
    """Return the ids of all parameters that belong to modules that are not linear layers."""
    others = (module for module in model.modules() if type(module) not in _LINEAR_TYPES)
    return {id(parameter) for module in others for parameter in module.parameters(recurse=False)}


def _nothing_to_quantize(model: nn.Module, recipe: Recipe, *, n_linear: int) -> str:
    """Explain that no layer matches, and list the layers that the model has instead."""
    kinds = Counter(
        type(module).__name__ for module in model.modules() if any(True for _ in module.parameters(recurse=False))
    )
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    kept = f" that it does not keep ({n_linear} kept)" if n_linear else ""
    return (
        f"recipe {recipe.name!r} quantizes linear layers, and {type(model).__name__} has none{kept}; "
        f"its parameters are in {found or 'no layer'}. Choose a recipe in full precision or another model"
    )
