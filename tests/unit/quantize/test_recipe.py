"""Recipes are plain values that name themselves truthfully."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_qeval.quantize.recipe import AUTO, INT8, RECIPES, ActivationScheme, Recipe, WeightScheme


def test_every_recipe_is_filed_under_its_name() -> None:
    assert [recipe.name for recipe in RECIPES.values()] == list(RECIPES)


def test_auto_is_listed_first() -> None:
    assert next(iter(RECIPES.values())) is AUTO


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_recipe_says_in_one_line_what_it_does(recipe: Recipe) -> None:
    assert recipe.summary
    assert "\n" not in recipe.summary


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("auto", "full precision"),
        ("fp32", "W32A32"),
        ("bf16", "W16A16"),
        ("int8", "W8A8"),
        ("w2a16", "W2A16"),
    ],
)
def test_schemes_are_spelled_as_in_the_literature(name: str, scheme: str) -> None:
    assert RECIPES[name].scheme == scheme


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_the_report_s_form_is_json(recipe: Recipe) -> None:
    row = recipe.to_dict()
    assert json.loads(json.dumps(row)) == row


def test_the_report_s_form_has_the_scheme_s_parts() -> None:
    row = INT8.to_dict()
    assert row["weights"] == {"bits": 8, "granularity": "per_channel", "clip": "minmax", "symmetric": True}
    assert row["activations"] == {"bits": 8, "granularity": "per_token", "dynamic": True}
    assert row["kept"] == ["lm_head"]


def test_full_precision_keeps_nothing_in_particular() -> None:
    assert AUTO.to_dict()["kept"] == []


def test_equal_schemes_are_equal() -> None:
    assert (WeightScheme(bits=8), ActivationScheme()) == (INT8.weights, INT8.activations)


@pytest.mark.parametrize("module", ["pytest_qeval.quantize.recipe", "pytest_qeval.measure.footprint"])
def test_pure_modules_do_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
