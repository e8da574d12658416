"""Which linear layers a recipe touches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.grammar import parse_recipe
from pytest_qeval.quantize.layers import LayerPlan, find_linear_layers, plan_layers, record_kept, weight_of
from pytest_qeval.quantize.recipe import LayerRule, Recipe, WeightScheme
from pytest_qeval.quantize.rules import matches

RECIPE = parse_recipe("w8a8")


class Block(nn.Module):
    """A block with two linear layers of which names repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 6), Conv1D(4, 6)


class Model(nn.Module):
    """Two blocks between embeddings and a head."""

    def __init__(self, *, tied: bool = False) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(10, 4)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.lm_head = nn.Linear(4, 10, bias=False)
        if tied:
            self.lm_head.weight = self.embeddings.weight


def kept(model: nn.Module, recipe: Recipe) -> list[str]:
    return [place.name for place in plan_layers(model, recipe) if place.kept]


def test_every_linear_layer_is_found_once_in_the_models_order() -> None:
    names = [place.names for place in find_linear_layers(Model())]
    assert names == [("blocks.0.up",), ("blocks.0.down",), ("blocks.1.up",), ("blocks.1.down",), ("lm_head",)]


def test_a_shared_layer_has_all_its_names() -> None:
    """Also where its parent is shared."""
    model: Any = Model()
    model.blocks[1] = model.blocks[0]
    model.again = model.lm_head
    assert [place.names for place in find_linear_layers(model)] == [
        ("blocks.0.up", "blocks.1.up"),
        ("blocks.0.down", "blocks.1.down"),
        ("lm_head", "again"),
    ]


def test_another_layer_is_put_at_every_name() -> None:
    model: Any = Model()
    model.again = model.blocks[1].up
    place = next(place for place in find_linear_layers(model) if "again" in place.names)
    new = nn.Identity()
    place.replace(model, new)
    assert model.blocks[1].up is new
    assert model.again is new


def test_subclasses_are_no_places() -> None:
    """They compute something of their own."""

    class Special(nn.Linear):
        pass

    model = nn.ModuleList([Special(2, 2), nn.MultiheadAttention(8, 2), nn.Linear(2, 2)])
    assert [place.names for place in find_linear_layers(model)] == [("2",)]


def test_a_layer_is_found_as_it_is_now() -> None:
    model: Any = Model()
    place = find_linear_layers(model)[0]
    model.blocks[0].up = nn.Linear(4, 6)
    assert place.module(model) is model.blocks[0].up


def test_weights_are_output_features_first_and_no_copies() -> None:
    linear, conv = nn.Linear(4, 6), Conv1D(6, 4)
    assert (weight_of(linear).shape, weight_of(conv).shape) == ((6, 4), (6, 4))
    assert weight_of(conv).data_ptr() == conv.weight.data_ptr()
    x = torch.randn(3, 4)
    torch.testing.assert_close(conv(x), nn.functional.linear(x, weight_of(conv), conv.bias))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("lm_head", True),
        ("model.lm_head", True),
        ("model.*", True),
        ("*head", True),
        ("model", False),
        ("head", False),
        ("LM_HEAD", False),
        ("tied.*", True),
        ("output", True),
    ],
)
def test_a_pattern_names_a_whole_name_or_a_last_component(pattern: str, *, expected: bool) -> None:
    """Of any of the layer's names."""
    assert matches(("model.lm_head", "tied.output"), pattern) == expected


def test_kept_layers_have_no_rule_and_the_others_the_recipes() -> None:
    places = plan_layers(Model(), RECIPE)
    assert [place.name for place in places if place.kept] == ["lm_head"]
    assert all(place.rule is None for place in places if place.kept)
    rules = [place.rule for place in places if place.rule]
    assert {(rule.weights, rule.activations) for rule in rules} == {(RECIPE.weights, RECIPE.activations)}
    assert len(rules) == 4


def test_the_first_rule_that_matches_counts_and_kept_comes_before_all() -> None:
    few, some = (WeightScheme(bits=bits) for bits in (2, 4))
    rules = (
        LayerRule(pattern="blocks.0.*", weights=few),
        LayerRule(pattern="up", weights=some),
        LayerRule(pattern="lm_head", weights=few),
    )
    places = plan_layers(Model(), replace(RECIPE, rules=rules))
    bits = {place.name: place.rule.weights.bits if place.rule else None for place in places}
    assert bits == {"blocks.0.up": 2, "blocks.0.down": 2, "blocks.1.up": 4, "blocks.1.down": 8, "lm_head": None}


def test_without_a_scheme_for_the_rest_only_rules_count() -> None:
    recipe = Recipe(name="r", summary="", rules=(LayerRule(pattern="up", weights=WeightScheme(bits=4)),))
    assert kept(Model(), recipe) == ["blocks.0.down", "blocks.1.down", "lm_head"]


def test_a_head_that_is_tied_to_the_embeddings_is_kept_whatever_the_recipe_says() -> None:
    everything = replace(RECIPE, kept=())
    assert kept(Model(tied=True), everything) == ["lm_head"]
    assert kept(Model(), everything) == []


def test_another_quantizer_needs_no_scheme() -> None:
    places = plan_layers(Model(), Recipe(name="r", summary="", quantizer="other"))
    assert [place.name for place in places if not place.kept] == [
        f"blocks.{index}.{leaf}" for index in (0, 1) for leaf in ("up", "down")
    ]
    assert all(place.rule is None for place in places)


def test_a_model_of_which_all_is_kept_is_refused() -> None:
    match = r"recipe 'w8a8' quantizes linear layers, and Model has none that it does not keep \(5 kept\)"
    with pytest.raises(RecipeError, match=match):
        plan_layers(Model(), replace(RECIPE, kept=("*",)))


def test_a_model_without_linear_layers_is_refused_with_what_it_has() -> None:
    model = nn.ModuleList([nn.Embedding(3, 2), nn.LayerNorm(2), nn.LayerNorm(2)])
    with pytest.raises(RecipeError, match=r"ModuleList has none; its parameters are in 2 LayerNorm, 1 Embedding\."):
        plan_layers(model, RECIPE)


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, 32), (torch.bfloat16, 16)])
def test_a_kept_layer_is_recorded_as_it_is(dtype: torch.dtype, bits: int) -> None:
    record = record_kept(LayerPlan(names=("blocks.0.down",), kept=True), Model().to(dtype))
    assert (record.name, record.shape, record.bits, record.kept) == ("blocks.0.down", (4, 6), bits, True)
    assert (record.bytes_before, record.bytes_after) == (24 * bits // 8,) * 2
    assert (record.granularity, record.execution, record.note) == ("", "full precision", "")
