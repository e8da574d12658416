"""Check before loading that a model fits in memory; the kernel would kill the session otherwise."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.engines.fit.loading_peak import held_while_loading
from pytest_qeval.engines.fit.read import shape_of
from pytest_qeval.engines.fit.shapes import ModelShape
from pytest_qeval.engines.fit.weights import model_bytes
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.recipe import Recipe


def check_memory(source: ModelSource, recipe: Recipe, *, available_bytes: int, device: str = "cpu") -> None:
    """Refuse a model whose weights alone, as `recipe` loads them, exceed the available memory of a device.

    Raises:
        ModelSourceError: with both numbers and what to do.
    """
    shape = shape_of(source)
    needed = _needed(shape, recipe)
    if needed <= available_bytes:
        return
    halved = _needed(shape, replace(recipe, dtype="bfloat16"))
    halve = " choose the recipe bf16, which needs less;" if needed > halved else ""
    where = "" if device == "cpu" else f" on {device}"
    raise ModelSourceError(
        f"{source.name} needs about {needed / 2**30:.1f} GiB for its weights, and {available_bytes / 2**30:.1f} GiB of "
        f"memory are free{where}. Close other programs, or run fewer workers (-n);{halve} choose a smaller model; or "
        "evaluate it on a machine with more (--qeval-fit tells what each recipe needs)."
    )


def _needed(shape: ModelShape, recipe: Recipe) -> int:
    return held_while_loading(shape, recipe, model_bytes(shape, recipe))
