"""Turn a `--qeval-recipe` value into a recipe: a name, a scheme, a file, or another package's configuration."""

from __future__ import annotations

from pytest_qeval import registry
from pytest_qeval.errors import RecipeError, UnknownNameError
from pytest_qeval.quantize.grammar import looks_like_scheme, parse_recipe
from pytest_qeval.quantize.quantization import Quantizer
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.quantize.recipe_file import read_recipe_file

_HINT = (
    "Schemes such as 'w4a16-g128', configurations of other packages such as 'torchao:Int8WeightOnlyConfig', and "
    "recipe files (*.toml) work too."
)


def find_recipe(name: str) -> Recipe:
    """Return the recipe for `int8`, `w4a16-g128`, `torchao:Int8WeightOnlyConfig` or `mixed.toml`.

    A registered name takes precedence over a scheme, so that a package may register a name that starts like one.

    Raises:
        UnknownNameError: There is no such recipe or quantizer.
        RecipeError: The scheme, file or configuration is invalid.
        MissingPackageError: The recipe needs a package that is not installed.
    """
    if not name.strip():
        raise RecipeError("a recipe without a name: expected one such as 'int8'.")
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
