"""Where a model's linear layers are, and which of them a recipe touches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeAlias

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.quantization import LayerRecord
from pytest_qeval.quantize.recipe import LayerRule, Recipe

__all__ = [
    "AnyLinear",
    "Place",
    "find_places",
    "matches",
    "nothing_to_quantize",
    "plan_linears",
    "plan_places",
    "record_kept",
    "weight_of",
]

AnyLinear: TypeAlias = nn.Linear | Conv1D
"""`nn.Linear`, or GPT-2's layer of the same meaning, whose weight is stored `[in_features, out_features]`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One linear layer, and everything that it is called: it may hang at several places."""

    names: tuple[str, ...]
    kept: bool = False
    rule: LayerRule | None = None
    """The recipe's scheme for it; None where it is kept, and where another quantizer has its own."""

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]

    def find(self, model: nn.Module) -> AnyLinear:
        """Return the layer as it is now."""
        module = model.get_submodule(self.name)
        assert isinstance(module, (nn.Linear, Conv1D))  # noqa: S101 - places are found by this very type
        return module

    def put(self, model: nn.Module, layer: nn.Module) -> None:
        """Put another layer in its place, everywhere."""
        for name in self.names:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, layer)


def weight_of(layer: AnyLinear) -> torch.Tensor:
    """Return a layer's weight as `[out_features, in_features]`, a view of its memory."""
    return layer.weight.detach().t() if isinstance(layer, Conv1D) else layer.weight.detach()


def find_places(model: nn.Module) -> list[Place]:
    """List every linear layer once, in the model's order.

    Subclasses are left alone: they compute something of their own, or are read by others (the output projection of
    `nn.MultiheadAttention`).
    """
    names: dict[int, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if type(module) in {nn.Linear, Conv1D} and name:
            names.setdefault(id(module), []).append(name)
    return [Place(names=tuple(group)) for group in names.values()]


def plan_places(model: nn.Module, recipe: Recipe) -> list[Place]:
    """Say for every linear layer which scheme it gets, or that it is kept.

    Kept are the layers that the recipe names, those that no scheme is for, and those that share their weight with
    something that is no linear layer, such as an output layer tied to the embeddings.

    Raises:
        RecipeError: when no layer is left to be quantized.
    """
    shared = _shared_weights(model)
    places = []
    for place in find_places(model):
        rule = rule_for(place, recipe)
        kept = any(matches(place, pattern) for pattern in recipe.kept) or id(place.find(model).weight) in shared
        places.append(
            Place(names=place.names, kept=kept or (rule is None and not recipe.quantizer), rule=None if kept else rule)
        )
    if all(place.kept for place in places):
        raise RecipeError(nothing_to_quantize(model, recipe, n_linear=len(places)))
    return places


def rule_for(place: Place, recipe: Recipe) -> LayerRule | None:
    """Return the recipe's scheme for a layer, were it not kept; None where there is none for it."""
    plain = LayerRule(pattern="*", weights=recipe.weights, activations=recipe.activations) if recipe.weights else None
    return next((rule for rule in recipe.rules if matches(place, rule.pattern)), plain)


def plan_linears(model: nn.Module, recipe: Recipe) -> list[Place]:
    """Plan for a quantizer that knows `nn.Linear` alone: GPT-2's `Conv1D` is kept too.

    Raises:
        RecipeError: when no layer is left to be quantized.
    """
    planned = plan_places(model, recipe)
    places = [replace(place, kept=place.kept or type(place.find(model)) is not nn.Linear) for place in planned]
    if all(place.kept for place in places):
        raise RecipeError(nothing_to_quantize(model, recipe, n_linear=sum(place.kept for place in planned)))
    return places


def record_kept(place: Place, model: nn.Module) -> LayerRecord:
    """Say that a layer stays as it is."""
    weight = weight_of(place.find(model))
    return LayerRecord(
        name=place.name,
        shape=(weight.shape[0], weight.shape[1]),
        bits=8 * weight.element_size(),
        kept=True,
        bytes_before=weight.nbytes,
        bytes_after=weight.nbytes,
    )


def matches(place: Place, pattern: str) -> bool:
    """Whether a pattern names the layer: by a whole name or by a last component."""
    leaves = {name.rpartition(".")[2] for name in place.names}
    return any(fnmatchcase(name, pattern) for name in leaves.union(place.names))


def _shared_weights(model: nn.Module) -> set[int]:
    """Return the parameters of everything that is no linear layer, by identity."""
    others = (module for module in model.modules() if type(module) not in {nn.Linear, Conv1D})
    return {id(parameter) for module in others for parameter in module.parameters(recurse=False)}


def nothing_to_quantize(model: nn.Module, recipe: Recipe, *, n_linear: int) -> str:
    """Say why no layer matches, and what the model is made of instead."""
    kinds = Counter(
        type(module).__name__ for module in model.modules() if any(True for _ in module.parameters(recurse=False))
    )
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    kept = f" that it does not keep ({n_linear} kept)" if n_linear else ""
    return (
        f"recipe {recipe.name!r} quantizes linear layers, and {type(model).__name__} has none{kept}; "
        f"its parameters are in {found or 'no layer'}. Choose a recipe in full precision or another model"
    )
