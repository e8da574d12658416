"""Find the linear layers whose weight a model reads itself, past the layer: an integer layer has none to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoder
from pytest_qeval.quantize.layers import plan_layers
from pytest_qeval.quantize.recipe import Recipe

_REFUSALS = (AttributeError, TypeError, RuntimeError, ValueError)
"""What a model raises that cannot go on without a weight."""


def find_direct_reads(model: Any, recipe: Recipe, encoder_decoder: EncoderDecoder | None) -> tuple[str, ...]:
    """Return the layers whose weight the model reads itself, as Mamba does, by the last component of their names.

    Call it before quantization. A pass over a few tokens, in which layers hide their weights, finds them; a recipe that
    quantizes nothing needs none.
    """
    inputs = _inputs(model, encoder_decoder)
    found: tuple[str, ...] = ()
    while recipe.quantizes and (name := _first_read(model, inputs, _quantized(model, recipe, found))):
        found = (*found, name)
    return found


@torch.inference_mode()
def can_run(model: Any, encoder_decoder: EncoderDecoder | None) -> bool:
    """Return whether a model gets through such a pass at all, as one without weights may not."""
    try:
        model(**_inputs(model, encoder_decoder), use_cache=False)
    except Exception:  # noqa: BLE001 - a model's own code may raise anything
        return False
    return True


def _inputs(model: Any, encoder_decoder: EncoderDecoder | None) -> dict[str, torch.Tensor]:
    """Return a few tokens."""
    ids = torch.tensor([[1, 2, 3]], device=model.device)
    start = encoder_decoder.start if encoder_decoder else ()
    decoder = {"decoder_input_ids": torch.tensor([start], device=model.device)} if start else {}
    return {"input_ids": ids, **decoder}


def _quantized(model: Any, recipe: Recipe, known: tuple[str, ...]) -> dict[int, str]:
    """Return the last component of the name of each layer that is to be quantized, by the layer's id."""
    plans = plan_layers(model, replace(recipe, kept=(*recipe.kept, *known)))
    modules = ((plan.module(model), plan.name.rpartition(".")[2]) for plan in plans if not plan.kept)
    return {id(module): leaf for module, leaf in modules if type(module) is nn.Linear}


@torch.inference_mode()
def _first_read(model: Any, inputs: dict[str, torch.Tensor], layers: dict[int, str]) -> str:
    """Return the name of the first of these layers without whose weight the model cannot go on; empty if it can."""
    reads: list[str] = []
    with _hide_weights(model, layers, reads):
        try:
            model(**inputs, use_cache=False)
        except _REFUSALS:
            return reads[-1] if reads else ""
    return ""


@contextmanager
def _hide_weights(model: nn.Module, names: dict[int, str], reads: list[str]) -> Iterator[None]:
    """Let layers show their weight to nobody but themselves, and note who else asks for it."""

    class Hiding(nn.Linear):
        """A linear layer that has no weight, as an integer layer has none."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self._parameters["weight"], self.bias)  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> Any:
            if name != "weight":
                return super().__getattr__(name)
            reads.append(names[id(self)])
            return None

    hidden = [module for module in model.modules() if id(module) in names]
    for module in hidden:
        module.__class__ = Hiding
    try:
        yield
    finally:
        for module in hidden:
            module.__class__ = nn.Linear
