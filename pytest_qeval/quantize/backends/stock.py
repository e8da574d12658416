"""`torch:quantize_dynamic`: the int8 quantization that comes with torch itself, as the study's dynamic branch used it.

Per-tensor weights, per-tensor activations from the values at hand, the output layer included: it is fast, and coarse.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.quantize.quantization import LayerRecord, Quantization
from pytest_qeval.quantize.quantizer import Quantizer
from pytest_qeval.quantize.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pytest_qeval.quantize.places import Place

__all__ = ["STOCK"]

_CONFIG = "quantize_dynamic"


def _recipe(config: str) -> Recipe:
    if find_spec("torch") is None:
        raise MissingPackageError("torch", extra="transformers", purpose=f"recipe 'torch:{config}'")
    if config != _CONFIG:
        raise RecipeError(f"torch has no quantization {config!r} for a recipe. Did you mean 'torch:{_CONFIG}'?")
    return Recipe(
        name=f"torch:{config}",
        summary="int8 by torch.ao.quantization.quantize_dynamic from float32, lm_head included; real int8 arithmetic",
        dtype="float32",
        kept=(),
        quantizer="torch",
        config=config,
    )


def _apply(model: nn.Module, recipe: Recipe, _: Callable[[], None]) -> Quantization:
    """Quantize every `nn.Linear` that is neither kept nor tied.

    Raises:
        RecipeError: The model is not in float32, has no such layer, or this torch has no such function any more.
    """
    from pytest_qeval.quantize.places import plan_linears, record_kept  # noqa: PLC0415 - imports torch

    start = time.perf_counter()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    places = plan_linears(model, recipe)
    weights = {place.name: place.find(model).weight for place in places if not place.kept}
    _check_dtype(weights, recipe)
    shapes = {name: (weight.shape[0], weight.shape[1]) for name, weight in weights.items()}
    del weights  # else no layer's memory is freed before the last one is quantized
    _quantize(model, list(shapes))
    layers = tuple(
        record_kept(place, model) if place.kept else _record(model, place, shapes[place.name]) for place in places
    )
    return Quantization(layers=layers, parameters=parameters, duration_s=time.perf_counter() - start)


def _check_dtype(weights: dict[str, torch.Tensor], recipe: Recipe) -> None:
    import torch  # noqa: PLC0415 - imported lazily by contract

    other = next((item for item in weights.items() if item[1].dtype != torch.float32), None)
    if other:
        found = str(other[1].dtype).removeprefix("torch.")
        raise RecipeError(f"recipe {recipe.name!r} needs a model in float32, and {other[0]} is in {found}.")


def _quantize(model: nn.Module, names: list[str]) -> None:
    """Call torch's function, without its announcements of what will replace it one day."""
    import torch  # noqa: PLC0415 - as above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # quantized tensors are deprecated too; nothing else computes what this recipe is about
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        try:
            from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic  # noqa: PLC0415 - as above
        except ImportError as error:
            raise RecipeError(
                f"torch {torch.__version__} has no torch.ao.quantization.{_CONFIG} any more; torch 2.13 has."
            ) from error
        configs = dict.fromkeys(names, default_dynamic_qconfig)
        quantize_dynamic(model, configs, dtype=torch.qint8, inplace=True)  # type: ignore[no-untyped-call]


def _record(model: nn.Module, place: Place, shape: tuple[int, int]) -> LayerRecord:
    """Record a quantized layer, and leave its size with it for `measure.footprint`: the weight is no parameter."""
    layer: Any = model.get_submodule(place.name)
    place.put(model, layer)  # torch has replaced it at the first of its names
    parameters = shape[0] * shape[1]
    bias = layer.bias()
    layer.packed_parameters = parameters + (0 if bias is None else bias.numel())
    layer.packed_bytes = _weight_bytes(parameters) + (0 if bias is None else bias.nbytes)
    return LayerRecord(
        name=place.name,
        shape=shape,
        bits=8,
        kept=False,
        bytes_before=4 * parameters,
        bytes_after=_weight_bytes(parameters),
        granularity="per_tensor",
        execution="native",
    )


def _weight_bytes(parameters: int) -> int:
    """Bytes of packed int8 values and their one scale, without a kernel's padding.

    The engine onednn keeps the values as they were beside the packed ones (torch 2.13: 36 MB for a weight of 16 MB;
    x86, the default on such a CPU, 16 MB).
    """
    import torch  # noqa: PLC0415 - as above

    return parameters * (2 if torch.backends.quantized.engine == "onednn" else 1) + 4


STOCK = Quantizer(
    name="torch",
    summary="torch's own dynamic int8 quantization: torch:quantize_dynamic",
    recipe=_recipe,
    apply=_apply,
)
