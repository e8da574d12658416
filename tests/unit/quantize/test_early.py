"""Integers that wait for their layer come back as they were."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.quantize.early import EarlyRounding
from pytest_qeval.quantize.kernels.weights import quantize_weight
from pytest_qeval.quantize.layers import plan_layers
from pytest_qeval.quantize.lookup import find_recipe


@given(
    bits=st.sampled_from([2, 3, 4, 5, 8]),
    group=st.sampled_from(["", "-g32", "-tensor"]),
    rows=st.integers(1, 5),
    columns=st.integers(1, 70),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 1e4]),
)
def test_what_is_taken_comes_back(bits: int, group: str, rows: int, columns: int, scale: float) -> None:
    """For every number of bits and columns, odd ones too; half a byte each where they fit."""
    recipe = find_recipe(f"w{bits}a16{group}")
    model = torch.nn.Sequential(torch.nn.Linear(columns, rows, bias=False))
    weight = model.get_parameter("0.weight").detach().mul_(scale)
    early = EarlyRounding(model, recipe)
    (layer,) = plan_layers(model, recipe)
    assert layer.rule is not None
    assert early.take("0.weight", weight)
    found, expected = early.round(layer, weight.to("meta")), quantize_weight(weight, layer.rule.weights)
    assert torch.equal(found.values, expected.values)
    assert found.values.is_contiguous()
    assert torch.equal(found.scales, expected.scales)
    assert found.group_size == expected.group_size


def test_a_layer_that_was_not_taken_is_rounded_from_its_weight() -> None:
    """A tied output layer, say, whose weight is its own after all."""
    recipe, model = find_recipe("w8a16"), torch.nn.Sequential(torch.nn.Linear(16, 16))
    (layer,) = plan_layers(model, recipe)
    assert layer.rule is not None
    weight = model.get_parameter("0.weight").detach()
    found = EarlyRounding(model, recipe).round(layer, weight)
    assert torch.equal(found.values, quantize_weight(weight, layer.rule.weights).values)
