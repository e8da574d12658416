"""What `--qeval-fit` needs: a model, recipes, a budget, and how much is decoded at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_qeval.config.option_groups import read_budget, read_generation
from pytest_qeval.config.recipes import named_recipes
from pytest_qeval.config.values import Values
from pytest_qeval.engines.fit.predict import PROMPT_TOKENS
from pytest_qeval.errors import UsageError
from pytest_qeval.measure.machine import available_memory_bytes
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.settings import ModelSettings

if TYPE_CHECKING:
    import pytest

_NAMES = ("fit", "model", "revision", "recipe", "ram-budget", "batch-size", "max-new-tokens", "trust-remote-code")
_READ = tuple(f"--qeval-{name}" for name in _NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """What `--qeval-fit` was asked."""

    model: ModelSettings
    recipes: Mapping[str, Recipe]
    """By name, in the order given; without any, the checkpoint as it is."""
    budget_bytes: int
    budget_origin: str
    """Where the budget is from, such as `--qeval-ram-budget`."""
    context_tokens: int
    """Of each sequence at its end."""


def read_fit(config: pytest.Config) -> FitSettings:
    """Read what `--qeval-fit` needs.

    Raises:
        UsageError: without a model, for an option without effect, and for what any of the options refuses.
    """
    values = Values(config)
    other = next((option for option in values.typed_options if option not in _READ), None)
    if other:
        raise UsageError(f"--qeval-fit predicts memory and runs nothing: leave {other} out.")
    if values.names_files:
        raise UsageError(f"--qeval-fit runs no tests: leave {' '.join(config.args)} out.")
    name = values.text("model")
    if not name:
        raise UsageError(
            "--qeval-fit needs a model: add --qeval-model, a hub id, a folder, a GGUF file or a config.json."
        )
    budget = read_budget(values)
    return FitSettings(
        model=ModelSettings(
            name=name,
            revision=values.text("revision"),
            batch_size=values.positive("batch-size"),
            remote_code=values.flag("trust-remote-code"),
        ),
        recipes=named_recipes(values),
        budget_bytes=budget or available_memory_bytes(),
        budget_origin="--qeval-ram-budget" if budget else "free memory of this machine, or of its control group",
        context_tokens=PROMPT_TOKENS + read_generation(values).max_new_tokens,
    )
