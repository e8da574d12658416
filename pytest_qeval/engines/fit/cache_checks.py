"""Refuse to quantize a key/value cache that is not kept token by token, before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_qeval.engines.fit.cache_layout import why_not_quantized
from pytest_qeval.engines.fit.read import text_config
from pytest_qeval.engines.model_config import read_json
from pytest_qeval.engines.sources import ModelSource, find_file
from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.recipe import Recipe


def check_cache(source: ModelSource, recipes: Iterable[Recipe]) -> None:
    """Make sure that a model's cache can be quantized where a recipe wants it; a GGUF file is asked once it is loaded.

    Raises:
        RecipeError: naming recipe, model and reason.
    """
    wanting = [recipe for recipe in recipes if recipe.cache]
    file = find_file(source, "config.json") if wanting and source.kind != "gguf" else None
    if file:
        check_cache_of(text_config(read_json(file)), wanting[0], model=source.name)


def check_cache_of(config: Mapping[str, Any], recipe: Recipe, *, model: str) -> None:
    """Make sure that a model's cache can be quantized if the recipe wants it, by the config of the text part.

    Raises:
        RecipeError: as `check_cache`.
    """
    if recipe.cache and (reason := why_not_quantized(config)):
        raise RecipeError(cache_refusal(recipe.name, model, reason))


def cache_refusal(recipe: str, model: str, reason: str) -> str:
    """Say why a model's cache cannot be quantized, and what to do."""
    return (
        f"{recipe}: the key/value cache of {model} cannot be quantized here ({reason}), only one that keeps every "
        "token of a decoder; choose the recipe without +kv8 or +kv4."
    )
