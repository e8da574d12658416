"""`--qeval-fit`: whether a model fits in a budget of memory, before any of it is loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest

from pytest_qeval.config.fit import FitSettings, read_fit
from pytest_qeval.config.origins import with_origin
from pytest_qeval.engines.fit.predict import predict
from pytest_qeval.engines.fit.read import find_shape
from pytest_qeval.engines.fit.shapes import ModelShape
from pytest_qeval.errors import QEvalError, UsageError, about
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.report.fit import fit_lines


def predict_fit(config: pytest.Config) -> int:
    """Predict every recipe, print the table, and return the exit status: 1 where one does not fit.

    Raises:
        pytest.UsageError: for a model whose shapes cannot be had, and other mistakes.
    """
    try:
        return _predict(read_fit(config))
    except QEvalError as error:
        raise pytest.UsageError(with_origin(error, config)) from error


def _check_stored(shape: ModelShape, recipes: Iterable[Recipe]) -> None:
    """Refuse to quantize a checkpoint again, as an ordinary run does; GGUF's blocks can be unpacked."""
    again = next((recipe.name for recipe in recipes if recipe.quantizes), None)
    if again and shape.stored not in {"", "gguf"}:
        raise UsageError(
            f"{shape.name} is already quantized ({shape.stored}) and cannot be given the recipe {again}: leave "
            "--qeval-recipe out."
        )


def _predict(settings: FitSettings) -> int:
    with about("model"):
        shape = find_shape(settings.model)
        _check_stored(shape, settings.recipes.values())
        predictions = [
            predict(
                shape,
                recipe,
                budget_bytes=settings.budget_bytes,
                batch_size=settings.model.batch_size,
                context_tokens=settings.context_tokens,
            )
            for recipe in settings.recipes.values()
        ]
    lines = fit_lines(
        f"{shape.name}: {shape.parameters / 1e9:.3f} billion parameters, by {shape.origin}",
        predictions,
        budget_bytes=settings.budget_bytes,
        budget_origin=settings.budget_origin,
    )
    for line in lines:
        sys.stdout.write(f"{line.text}\n")
    fits = all(one.peak_bytes <= settings.budget_bytes for one in predictions)
    return int(pytest.ExitCode.OK if fits else pytest.ExitCode.TESTS_FAILED)
