"""Recipes are plain values that refuse what cannot be and name themselves truthfully."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.builtin import AUTO, INT8, RECIPES, STUDY_STATIC
from pytest_qeval.quantize.grammar import parse_recipe
from pytest_qeval.quantize.recipe import ActivationScheme, CalibrationPlan, LayerRule, Recipe, WeightScheme

STATIC = ActivationScheme(granularity="per_tensor", dynamic=False)
PURE = [f"pytest_qeval.quantize.{name}" for name in ("recipe", "grammar", "recipe_file", "builtin", "lookup")]


def test_every_recipe_is_filed_under_its_name() -> None:
    """The report files it under the same."""
    assert [recipe.name for recipe in RECIPES.values()] == list(RECIPES)


def test_auto_is_listed_first() -> None:
    """It is the default baseline."""
    assert next(iter(RECIPES.values())) is AUTO


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_recipe_says_in_one_line_what_it_does(recipe: Recipe) -> None:
    """For the list of recipes, and for a table in Markdown."""
    assert recipe.summary
    assert not {"\n", "|"} & set(recipe.summary)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("auto", "full precision"),
        ("fp32", "W32A32"),
        ("bf16", "W16A16"),
        ("int8", "W8A8"),
        ("int8-static", "W8A8"),
        ("int4", "W4A16"),
        ("w2a16", "W2A16"),
        ("study-static", "W8A8"),
        ("study-dynamic", "quantize_dynamic"),
    ],
)
def test_schemes_are_spelled_as_in_the_literature(name: str, scheme: str) -> None:
    """Bits of weights and activations, or the other package's own word."""
    assert RECIPES[name].scheme == scheme


@pytest.mark.parametrize(
    ("weights", "scheme"), [(WeightScheme(bits=8), "W8A16 mixed"), (None, "W16A16 mixed")], ids=["some", "none"]
)
def test_a_scheme_with_exceptions_is_mixed(weights: WeightScheme | None, scheme: str) -> None:
    """One short form cannot name them all."""
    rules = (LayerRule(pattern="*", weights=WeightScheme(bits=4)),)

    assert Recipe(name="", summary="", weights=weights, rules=rules).scheme == scheme


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("int8", "w8a8"),
        ("int8-static", "w8a8-static-mse"),
        ("int4", "w4a16-g128"),
        ("w2a16", "w2a16"),
        ("study-static", "w8a8-static-mse-n500"),
    ],
)
def test_an_alias_is_its_scheme(name: str, scheme: str) -> None:
    """Both are the same arithmetic under two names."""
    alias, parsed = RECIPES[name], parse_recipe(scheme)

    assert (alias.weights, alias.activations, alias.kept, alias.calibration) == (
        parsed.weights,
        parsed.activations,
        parsed.kept,
        parsed.calibration,
    )


def test_the_study_is_calibrated_on_500_texts_of_512_characters() -> None:
    """As its summary promises, whatever our defaults are."""
    assert STUDY_STATIC.calibration is not None
    assert (STUDY_STATIC.calibration.samples, STUDY_STATIC.calibration.characters) == (500, 512)


@pytest.mark.parametrize("name", ["auto", "fp32", "bf16", "as-is"])
def test_floating_point_and_a_checkpoint_as_it_is_are_not_quantized_here(name: str) -> None:
    """Nothing is rounded that was not before."""
    assert not RECIPES[name].quantizes


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WeightScheme(bits=9), "weights of 9 bits"),
        (lambda: WeightScheme(bits=4, group_size=64), "belongs to the granularity per_group"),
        (lambda: WeightScheme(bits=4, granularity="per_group"), "belongs to the granularity per_group"),
        (lambda: WeightScheme(bits=4, granularity="per_group", group_size=7), "groups of 7 weights"),
        (lambda: WeightScheme(bits=4, clip="entropy"), "weights cannot be clipped by entropy"),
        (lambda: WeightScheme(bits=4, clip="percentile"), "belongs to the clip method percentile"),
        (lambda: WeightScheme(bits=4, percentile=99), "belongs to the clip method percentile"),
        (lambda: WeightScheme(bits=4, clip="percentile", percentile=50), "a percentile of 50"),
        (lambda: ActivationScheme(bits=3), "activations of 3 bits"),
        (lambda: ActivationScheme(dynamic=False), "static activations are per_tensor"),
        (lambda: ActivationScheme(clip="mse"), "dynamic activations are not clipped; mse"),
        (lambda: Recipe(name="x", summary="", activations=ActivationScheme()), "recipe 'x': activations are quantized"),
        (
            lambda: Recipe(name="x", summary="", weights=WeightScheme(bits=8), activations=STATIC),
            "recipe 'x': static activations need calibration",
        ),
        (lambda: Recipe(name="x", summary="", calibration=CalibrationPlan()), "and nothing else does"),
    ],
)
def test_parts_that_do_not_fit_are_refused(build: Callable[[], object], message: str) -> None:
    """No such value can exist, whoever builds it."""
    with pytest.raises(RecipeError, match=message):
        build()


def test_a_rule_alone_can_need_calibration() -> None:
    """Static activations of a few layers are calibrated too."""
    rules = (LayerRule(pattern="*.mlp.*", weights=WeightScheme(bits=8), activations=STATIC),)

    assert Recipe(name="", summary="", rules=rules, calibration=CalibrationPlan()).needs_calibration


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_the_report_s_form_is_json(recipe: Recipe) -> None:
    """Nothing is lost on the way through a file."""
    row = recipe.to_dict()
    assert json.loads(json.dumps(row)) == row


def test_the_report_s_form_has_the_scheme_s_parts() -> None:
    """Field by field, as the values hold them."""
    row = INT8.to_dict()

    assert row["weights"] == {
        "bits": 8,
        "granularity": "per_channel",
        "group_size": None,
        "clip": "minmax",
        "percentile": None,
    }
    assert row["activations"] == {
        "bits": 8,
        "granularity": "per_token",
        "dynamic": True,
        "clip": "minmax",
        "percentile": None,
        "symmetric": True,
    }
    assert row["kept"] == ["lm_head"]


def test_full_precision_keeps_nothing_in_particular() -> None:
    """Where nothing is quantized, nothing is an exception."""
    assert AUTO.to_dict()["kept"] == []


@pytest.mark.parametrize("module", [*PURE, "pytest_qeval.quantize.footprint"])
def test_pure_modules_do_not_import_torch(module: str) -> None:
    """Recipes are read before anybody waits for torch."""
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
