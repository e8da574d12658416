"""Quantizers of other packages: how one is found, checked and called without being imported before it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_qeval.quantize.recipe import Recipe

__all__ = ["Quantizer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """A registered quantizer: `torchao` in `--qeval-recipe torchao:Int8WeightOnlyConfig`."""

    name: str
    summary: str
    """One honest line for `--qeval-list quantizers`."""
    recipe: Callable[[str], Recipe]
    """Turn what stands behind the colon into a recipe, without importing torch.

    Raises `RecipeError` for a config that does not exist, `MissingPackageError` when the package is not installed.
    """
    apply: Callable[[Any, Recipe, Callable[[], None]], Any]
    """Quantize a `torch.nn.Module` in place and give its `Quantization`.

    Arguments: model, recipe, and a function that runs the model over the calibration texts, for recipes that have a
    calibration plan.
    """
