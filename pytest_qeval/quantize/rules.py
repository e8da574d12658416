"""Which scheme a recipe has for a layer, by the layer's names alone; needs no torch."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from pytest_qeval.quantize.recipe import LayerRule, Recipe


def matches(names: Collection[str], pattern: str) -> bool:
    """Whether an `fnmatch` pattern matches one of a layer's names, or the last component of one."""
    leaves = {name.rpartition(".")[2] for name in names}
    return any(fnmatchcase(name, pattern) for name in leaves.union(names))


def rule_of(names: Collection[str], recipe: Recipe) -> LayerRule | None:
    """Return the recipe's scheme for a layer that is not kept; None if there is none."""
    default = LayerRule(pattern="*", weights=recipe.weights, activations=recipe.activations) if recipe.weights else None
    return next((rule for rule in recipe.rules if matches(names, rule.pattern)), default)
