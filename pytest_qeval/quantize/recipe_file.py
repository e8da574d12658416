"""Recipes that one line cannot say: a TOML file with a scheme, exceptions for some layers, and calibration.

scheme = "w8a8-static-mse"      # optional when there are layers
summary = "first try"           # optional, as is name (default: the file's)
kept = ["lm_head", "*.0.mlp.*"] # default ["lm_head"]

[calibration]                   # only where something is static
samples = 64

[[layers]]                      # the first pattern that matches counts
pattern = "*.down_proj"
scheme = "w4a16-g128"           # or "kept", which comes before all others
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.grammar import describe, parse_recipe
from pytest_qeval.quantize.recipe import CalibrationPlan, LayerRule, Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_recipe_file"]

_KEYS = ("scheme", "name", "summary", "kept", "calibration", "layers")
_CALIBRATION_KEYS = ("samples", "characters", "new_tokens")
_LAYER_KEYS = ("pattern", "scheme")
_KEPT = "kept"
"""The scheme of layers that stay in floating point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table of the file, read key by key; every error says where."""

    where: str
    values: Mapping[str, Any]

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Refuse keys that nobody reads."""
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                guess = f"Did you mean {near[0]!r}? " if near else ""
                raise RecipeError(f"{self.where}: the key {key!r} is unknown. {guess}Possible: {', '.join(known)}.")

    def wrong(self, key: str, expected: str) -> RecipeError:
        """Say what a key should have been."""
        return RecipeError(f"{self.where}: the key {key!r} is {expected}, not {self.values.get(key)!r}.")

    def line(self, key: str) -> str | None:
        """Give a text of one line that is not empty; None where the key is missing."""
        value = self.values.get(key)
        if value is not None and not (isinstance(value, str) and value.strip() and value.isprintable()):
            raise self.wrong(key, "one line of text")
        return value

    def lines(self, key: str) -> tuple[str, ...] | None:
        """Give a list of texts; None where the key is missing."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
            raise self.wrong(key, "a list of texts")
        return tuple(value)

    def counts(self) -> dict[str, int]:
        """Give all values, which are whole numbers above 0."""
        for key, value in self.values.items():
            if type(value) is not int or value < 1:
                raise self.wrong(key, "a whole number above 0")
        return dict(self.values)

    def parse(self, scheme: str) -> Recipe:
        """Read what the key `scheme` says."""
        try:
            return parse_recipe(scheme)
        except RecipeError as error:
            raise RecipeError(f"{self.where}: the key 'scheme' cannot be read: {error}") from None


def read_recipe_file(path: Path | str) -> Recipe:
    """Read a recipe from a TOML file.

    Raises:
        RecipeError: naming the file and the key that is wrong.
    """
    path = Path(path)
    table = _Table(where=f"recipe file {str(path)!r}", values=_load(path))
    table.check_keys(_KEYS)
    scheme = table.line("scheme")
    base = table.parse(scheme) if scheme else Recipe(name="", summary="")
    layers = _layers(table)
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


def _load(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise RecipeError(f"recipe file {str(path)!r} cannot be opened: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"recipe file {str(path)!r} is not UTF-8: byte {error.start + 1}. Save it as UTF-8."
        ) from None
    except ValueError as error:  # TOMLDecodeError, or what `int` says about a number of thousands of digits
        raise RecipeError(f"recipe file {str(path)!r} is no valid TOML: {error}.") from None
    return content


def _kept(table: _Table, base: Recipe) -> tuple[str, ...]:
    kept = table.lines("kept")
    if kept is not None and not base.kept:
        raise RecipeError(f"{table.where}: 'kept' and '+lm_head' both say which layers are kept; leave one out.")
    return base.kept if kept is None else kept


def _layers(table: _Table) -> list[LayerRule | str]:
    """Read `[[layers]]`: rules, and the patterns of layers that are kept."""
    rows = table.values.get("layers", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise table.wrong("layers", "a list of tables, each under [[layers]]")
    return [
        _layer(_Table(where=f"{table.where}, [[layers]] number {number}", values=row))
        for number, row in enumerate(rows, start=1)
    ]


def _layer(table: _Table) -> LayerRule | str:
    table.check_keys(_LAYER_KEYS)
    pattern, scheme = table.line("pattern"), table.line("scheme")
    if pattern is None or scheme is None:
        raise RecipeError(f"{table.where}: the key {('scheme' if pattern else 'pattern')!r} is missing.")
    if scheme == _KEPT:
        return pattern
    recipe = table.parse(scheme)
    if not recipe.kept or recipe.calibration not in {None, CalibrationPlan()}:
        raise RecipeError(
            f"{table.where}: the key 'scheme' says something about the whole model, {scheme!r}: "
            "write the number of texts under [calibration], and '+lm_head' behind the scheme at the top."
        )
    assert recipe.weights is not None  # noqa: S101 - there is no scheme without
    return LayerRule(pattern=pattern, weights=recipe.weights, activations=recipe.activations)


def _calibration(table: _Table, base: Recipe, rules: tuple[LayerRule, ...]) -> CalibrationPlan | None:
    """Join what the scheme says with `[calibration]`."""
    values = table.values.get("calibration", {})
    if not isinstance(values, dict):
        raise table.wrong("calibration", "a table, [calibration]")
    counts = _Table(where=f"{table.where}, [calibration]", values=values)
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
