"""Parameters are seen as a loader sets them, whatever the loader."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
import torch
from torch import nn

from pytest_qeval.engines.hf.arrivals import Arrivals


class Half:
    """Takes the weights of layers called `taken`."""

    def __init__(self) -> None:
        self.offered: list[str] = []

    def take(self, name: str, tensor: torch.Tensor) -> bool:
        assert not tensor.requires_grad
        self.offered.append(name)
        return "taken" in name


def build() -> nn.Module:
    """Make a model without values."""
    with torch.device("meta"):
        return nn.ModuleDict(
            {"block": nn.ModuleDict({"taken": nn.Linear(2, 2), "left": nn.ModuleList([nn.Linear(2, 2, bias=False)])})}
        )


def fill(model: nn.Module) -> None:
    for name, parameter in list(model.named_parameters()):
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, nn.Parameter(torch.ones(parameter.shape)))


def test_parameters_have_their_full_names_and_may_lose_their_values() -> None:
    """Shape, type and the loader's marks stay; nothing is watched afterwards."""
    taker, told = Half(), list[int]()
    arrivals = Arrivals(taker, told.append)
    with arrivals.watch():
        model = build()
        fill(model)
    assert taker.offered == ["block.taken.weight", "block.taken.bias", "block.left.0.weight"]
    assert told == [4, 6, 10]
    taken = model.get_parameter("block.taken.weight")
    assert (taken.is_meta, taken.shape, taken.requires_grad) == (True, (2, 2), True)
    assert torch.equal(model.get_parameter("block.left.0.weight"), torch.ones(2, 2))
    fill(model)
    assert not model.get_parameter("block.taken.weight").is_meta
    assert len(told) == 3


def test_marks_of_a_loader_stay() -> None:
    """What is not marked, transformers initializes at random."""
    with Arrivals(Half()).watch():
        model = nn.ModuleDict({"taken": nn.Linear(2, 2, device="meta")})
        marked = nn.Parameter(torch.ones(2, 2))
        marked._is_hf_initialized = True  # type: ignore[attr-defined]
        model["taken"].weight = marked
    assert model["taken"].weight.is_meta
    assert vars(model["taken"].weight) == {"_is_hf_initialized": True}


def test_what_was_taken_and_is_not_finite_is_known() -> None:
    """What stays is looked at later."""
    arrivals = Arrivals(Half())
    with arrivals.watch():
        model = nn.ModuleDict({name: nn.Linear(2, 2, device="meta", bias=False) for name in ("taken", "left")})
        for layer in model.values():
            layer.weight = nn.Parameter(torch.full((2, 2), float("inf")))
    assert arrivals.broken == {"taken.weight"}


@pytest.mark.parametrize("before", [None, "0"])
def test_transformers_reads_one_weight_after_the_other_meanwhile(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    """And as before afterwards, also after an error."""
    name = "HF_DEACTIVATE_ASYNC_LOAD"
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    meanwhile = []
    with suppress(KeyError), Arrivals(None).watch():
        meanwhile.append(os.environ[name])
        raise KeyError
    assert (meanwhile, os.environ.get(name)) == (["1"], before)
