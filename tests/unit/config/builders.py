"""Settings of runs, put together without a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ModelSettings


def model_of(model: Path | str, original: Path | str | None = None) -> ResolvedModel:
    """Find a model, and the one that it was made from."""
    sources = [TRANSFORMERS.find(ModelSettings(name=str(name))) for name in (model, original) if name is not None]
    return ResolvedModel(engine=TRANSFORMERS, source=sources[0], original=sources[1] if original else None)


def settings_of(model: Path | str = "demo", *recipes: str, **fields: Any) -> RunSettings:
    """Return the settings of a run with these candidates; a replay has no model."""
    found = [] if recipes == ("replay",) else [find_recipe(name) for name in recipes]
    baseline = [find_recipe(name) for name in [fields.get("baseline")] if name]
    defaults: dict[str, Any] = {
        "candidates": tuple(recipe.name for recipe in found) or recipes,
        "baseline": None,
        "recipes": {recipe.name: recipe for recipe in (*found, *baseline)},
        "suites": ("micro",),
    }
    if "resolved" not in fields and found and "completions" not in fields:
        defaults["resolved"] = model_of(model)
    return RunSettings(model=ModelSettings(name=str(model)), **{**defaults, **fields})
