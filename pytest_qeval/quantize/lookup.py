"""Turn a `--qeval-recipe` value into a recipe: a name, a scheme, a file, or another package's configuration."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_qeval import registry
from pytest_qeval.errors import RecipeError, UnknownNameError
from pytest_qeval.quantize.grammar import looks_like_scheme, parse_recipe
from pytest_qeval.quantize.quantization import Quantizer
from pytest_qeval.quantize.recipe import CacheScheme, Recipe
from pytest_qeval.quantize.recipe_file import read_recipe_file

_HINT = (
    "Schemes such as 'w4a16-g128', configurations of other packages such as 'torchao:Int8WeightOnlyConfig', and "
    "recipe files (*.toml) work too, and any recipe may end in +kv8 or +kv4."
)
_CACHE = re.compile(r"(?P<recipe>[^+].*)(?P<ending>\+kv\w*)", re.IGNORECASE)


def find_recipe(name: str) -> Recipe:
    """Return the recipe for `int8`, `w4a16-g128`, `torchao:Int8WeightOnlyConfig`, `mixed.toml` or `int8+kv8`.

    A registered name takes precedence over a scheme, so that a package may register a name that starts like one.

    Raises:
        UnknownNameError: There is no such recipe or quantizer.
        RecipeError: The scheme, file or configuration is invalid.
        MissingPackageError: The recipe needs a package that is not installed.
    """
    if not name.strip():
        raise RecipeError("a recipe without a name: expected one such as 'int8'.")
    base, ending = split_cache(name)
    if ending:
        return _with_cache(find_recipe(base), ending)
    if name.endswith(".toml"):
        return read_recipe_file(name)
    quantizer, colon, config = name.partition(":")
    if colon:
        found: Quantizer = registry.load("quantizers", quantizer)
        return found.recipe(config)
    if looks_like_scheme(name) and name not in registry.names("recipes"):
        return parse_recipe(name)
    try:
        recipe: Recipe = registry.load("recipes", name)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error} {_HINT}") from None
    return recipe


def split_cache(name: str) -> tuple[str, str]:
    """Split what a recipe's name says about the key/value cache off its end: `int8+kv8` is `int8` and `+kv8`."""
    found = _CACHE.fullmatch(name)
    return (found["recipe"], found["ending"]) if found else (name, "")


def is_as_is(name: str) -> bool:
    """Whether a recipe leaves a checkpoint that is quantized already as it is, whatever becomes of the cache."""
    return split_cache(name)[0] == "as-is"


def _with_cache(recipe: Recipe, ending: str) -> Recipe:
    """Quantize the cache of a recipe, too.

    Raises:
        RecipeError: The ending is neither `+kv8` nor `+kv4`.
    """
    if ending not in {"+kv8", "+kv4"} or recipe.cache:
        raise RecipeError(f"recipe {recipe.name + ending!r}: expected +kv8 or +kv4 behind a recipe's name, and once.")
    cache = CacheScheme(bits=int(ending[-1]))
    summary = f"{recipe.summary}; {cache.bits}-bit key/value cache per token and head"
    return replace(recipe, name=recipe.name + ending, summary=summary, cache=cache)
