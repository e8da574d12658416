"""Read a recipe from a TOML file: a scheme, exceptions for some layers, and calibration.

scheme = "w8a8-static-mse"      # optional when there are layers
summary = "first try"           # optional, as is name (default: the file's)
kept = ["lm_head", "*.0.mlp.*"] # default ["lm_head"]

[calibration]                   # only for static activations
samples = 64

[[layers]]                      # the first matching pattern applies
pattern = "*.down_proj"
scheme = "w4a16-g128"           # or "kept", which takes precedence over all others
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.grammar import describe, parse_recipe
from pytest_qeval.quantize.recipe import CalibrationPlan, LayerRule, Recipe
from pytest_qeval.toml_table import Table, read_toml

_KEYS = ("scheme", "name", "summary", "kept", "calibration", "layers")
_CALIBRATION_KEYS = ("samples", "characters", "new_tokens")
_LAYER_KEYS = ("pattern", "scheme")
_KEPT = "kept"
"""The scheme of layers that stay in floating point."""


def read_recipe_file(path: Path | str) -> Recipe:
    """Read a recipe from a TOML file.

    Raises:
        RecipeError: The file is invalid; the message names the file and the wrong key.
    """
    path = Path(path)
    table = read_toml(path, kind="recipe file", error=RecipeError)
    table.check_keys(_KEYS)
    scheme = table.line("scheme")
    base = _parse(table, scheme) if scheme else Recipe(name="", summary="")
    layers = [_layer(row) for row in table.tables("layers")]
    kept = _kept(table, base) + tuple(layer for layer in layers if isinstance(layer, str))
    rules = tuple(layer for layer in layers if isinstance(layer, LayerRule))
    if not base.quantizes and not rules:
        raise RecipeError(f"{table.where} quantizes nothing: give a 'scheme', or [[layers]] with one.")
    recipe = Recipe(
        name=table.line("name") or path.stem,
        summary=table.line("summary") or "",
        weights=base.weights,
        activations=base.activations,
        kept=kept,
        rules=rules,
        calibration=_calibration(table, base, rules),
    )
    return recipe if recipe.summary else replace(recipe, summary=describe(recipe))


def _parse(table: Table, scheme: str) -> Recipe:
    """Parse the value of the key `scheme`."""
    try:
        return parse_recipe(scheme)
    except RecipeError as error:
        raise RecipeError(f"{table.where}: the key 'scheme' cannot be read: {error}") from None


def _kept(table: Table, base: Recipe) -> tuple[str, ...]:
    kept = table.lines("kept")
    if kept is not None and not base.kept:
        raise RecipeError(f"{table.where}: 'kept' and '+lm_head' both say which layers are kept; leave one out.")
    return base.kept if kept is None else kept


def _layer(table: Table) -> LayerRule | str:
    """Read one `[[layers]]` table: a rule, or the pattern of layers that are kept."""
    table.check_keys(_LAYER_KEYS)
    pattern, scheme = table.line("pattern"), table.line("scheme")
    if pattern is None or scheme is None:
        raise RecipeError(f"{table.where}: the key {('scheme' if pattern else 'pattern')!r} is missing.")
    if scheme == _KEPT:
        return pattern
    recipe = _parse(table, scheme)
    if not recipe.kept or recipe.calibration not in {None, CalibrationPlan()}:
        raise RecipeError(
            f"{table.where}: the key 'scheme' says something about the whole model, {scheme!r}: "
            "write the number of texts under [calibration], and '+lm_head' behind the scheme at the top."
        )
    assert recipe.weights is not None  # noqa: S101 - every scheme has weights
    return LayerRule(pattern=pattern, weights=recipe.weights, activations=recipe.activations)


def _calibration(table: Table, base: Recipe, rules: tuple[LayerRule, ...]) -> CalibrationPlan | None:
    """Combine the calibration of the scheme with the table `[calibration]`."""
    counts = table.table("calibration")
    counts.check_keys(_CALIBRATION_KEYS)
    if not base.calibration and not any(rule.activations and not rule.activations.dynamic for rule in rules):
        if "calibration" in table.values:
            raise RecipeError(f"{table.where}: [calibration] is for static activations, and no scheme has any.")
        return None
    plan = base.calibration or CalibrationPlan()
    joined = replace(plan, **counts.counts())
    if CalibrationPlan().samples != plan.samples != joined.samples:
        raise RecipeError(f"{table.where}: {base.name!r} and [calibration] give two numbers of samples; leave one out.")
    return joined
