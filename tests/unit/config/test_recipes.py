"""A checkpoint that is quantized already is evaluated as it is."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from pytest_qeval.config.recipes import RecipeChoice, settle_stored
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import UsageError
from pytest_qeval.quantize.lookup import find_recipe


def source(stored: str = "", kind: Literal["directory", "gguf"] = "directory") -> ModelSource:
    return ModelSource(kind=kind, name="model", stored=stored)


def choice(*candidates: str, **fields: Any) -> RecipeChoice:
    return RecipeChoice(candidates=candidates or ("auto",), **fields)


@pytest.mark.parametrize("asked", [choice("as-is"), choice("int8", baseline="as-is")], ids=str)
def test_floating_point_is_not_quantized_already(asked: RecipeChoice) -> None:
    """`as-is` is refused, as a candidate and as a baseline, with what to choose instead."""
    with pytest.raises(UsageError) as refusal:
        settle_stored(asked, source())
    assert str(refusal.value) == (
        "model is stored in floating point, and as-is is for checkpoints that are quantized: choose auto."
    )


def test_floating_point_keeps_the_recipes() -> None:
    asked = choice("int8", "w4a16", baseline="auto")
    assert settle_stored(asked, source()) is asked


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "torchao", "compressed-tensors"])
@pytest.mark.parametrize("asked", [choice(), choice(baseline="auto"), choice("as-is", baseline="auto")], ids=str)
def test_a_quantized_checkpoint_is_evaluated_as_it_is(method: str, asked: RecipeChoice) -> None:
    """By default, without a baseline, which would be the same model, and never from the cache."""
    settled = settle_stored(asked, source(method))
    assert (settled.candidates, settled.baseline, settled.baseline_cached) == (("as-is",), None, False)


def test_the_model_it_was_made_from_stays_the_baseline() -> None:
    settled = settle_stored(choice(baseline="original", original="demo"), source("gptq"))
    assert (settled.candidates, settled.baseline, settled.original) == (("as-is",), "original", "demo")


@pytest.mark.parametrize(
    ("asked", "recipe"),
    [
        (choice("int8"), "int8"),
        (choice("as-is", "w4a16"), "w4a16"),
        (choice("as-is", baseline="fp32"), "fp32"),
        (choice("int8", baseline="original", original="demo"), "int8"),
    ],
    ids=str,
)
def test_a_quantized_checkpoint_is_not_quantized_again(asked: RecipeChoice, recipe: str) -> None:
    """Nor loaded in another precision; the sentence names method, recipe and both remedies."""
    with pytest.raises(UsageError) as refusal:
        settle_stored(asked, source("gptq"))
    assert str(refusal.value) == (
        f"model is already quantized (gptq) and cannot be given the recipe {recipe}. Leave --qeval-recipe out to "
        "evaluate it as it is, and name the model it was made from by --qeval-baseline to compare."
    )


@pytest.mark.parametrize("recipes", [("int8",), ("as-is", "int8"), ("bf16",)], ids=str)
def test_gguf_can_be_unpacked_and_quantized_again(recipes: tuple[str, ...]) -> None:
    """Its blocks become floating point first."""
    settled = settle_stored(choice(*recipes, baseline="auto"), source("gguf", "gguf"))
    assert (settled.candidates, settled.baseline) == (recipes, "auto")


@pytest.mark.parametrize("kind", ["directory", "gguf"])
@pytest.mark.parametrize("asked", [("auto+kv8",), ("as-is+kv8",), ("as-is", "as-is+kv8")], ids=str)
def test_a_quantized_cache_is_compared_with_the_checkpoint_as_it_is(
    asked: tuple[str, ...], kind: Literal["directory", "gguf"]
) -> None:
    """`auto` is what it is called for a checkpoint in floating point."""
    recipes = {name: find_recipe(name) for name in asked}
    settled = settle_stored(
        choice(*asked, baseline="auto", recipes=recipes), source("gguf" if kind == "gguf" else "gptq", kind)
    )
    assert (settled.candidates, settled.baseline) == (("as-is+kv8",), "as-is")
    assert {"as-is", "as-is+kv8"} <= set(settled.recipes)


def test_a_quantized_checkpoint_is_not_quantized_again_beside_its_cache() -> None:
    with pytest.raises(UsageError, match=r"already quantized \(gptq\) and cannot be given the recipe int8\+kv8"):
        settle_stored(choice("int8+kv8"), source("gptq"))


def test_floating_point_is_not_as_it_is_with_a_quantized_cache_either() -> None:
    with pytest.raises(UsageError, match=r"and as-is\+kv4 is for checkpoints that are quantized: choose auto\+kv4\.$"):
        settle_stored(choice("as-is+kv4"), source())


def test_gguf_is_evaluated_as_it_is_by_default() -> None:
    settled = settle_stored(choice(baseline="auto"), source("gguf", "gguf"))
    assert (settled.candidates, settled.baseline) == (("as-is",), None)
