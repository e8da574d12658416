"""`torch:quantize_dynamic`: torch's own int8 quantization, the dynamic recipe of Wei et al. (FSE 2023).

Per-tensor weights, dynamic per-tensor activations, the output layer included.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.quantize.quantization import LayerRecord, Quantizer
from pytest_qeval.quantize.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from pytest_qeval.quantize.layers import LayerPlan

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


def _apply(model: nn.Module, recipe: Recipe, _: Callable[[], None]) -> list[LayerRecord]:
    """Quantize every `nn.Linear` that is neither kept nor tied.

    Raises:
        RecipeError: The model is not in float32 or has no such layer, or this torch has no such function.
    """
    import torch  # noqa: PLC0415 - imported lazily by contract
    from torch import nn  # noqa: PLC0415 - as above

    from pytest_qeval.quantize.layers import plan_layers, record_kept  # noqa: PLC0415 - imports torch

    plans = plan_layers(model, recipe, types={nn.Linear})
    shapes = {}
    for plan in plans:
        weight = plan.module(model).weight
        if not plan.kept and weight.dtype != torch.float32:
            found = str(weight.dtype).removeprefix("torch.")
            raise RecipeError(f"recipe {recipe.name!r} needs a model in float32, and {plan.name} is in {found}.")
        shapes[plan.name] = (weight.shape[0], weight.shape[1])
        del weight  # otherwise a layer's memory is freed only after the last one is quantized
    _quantize(model, [plan.name for plan in plans if not plan.kept])
    return [record_kept(plan, model) if plan.kept else _record(model, plan, shapes[plan.name]) for plan in plans]


def _quantize(model: nn.Module, names: list[str]) -> None:
    """Call torch's function without its deprecation warnings."""
    import torch  # noqa: PLC0415 - as above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # quantized tensors are deprecated too; nothing else computes this recipe
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        try:
            from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic  # noqa: PLC0415 - as above
        except ImportError as error:
            raise RecipeError(
                f"torch {torch.__version__} has no torch.ao.quantization.{_CONFIG} any more; torch 2.13 has."
            ) from error
        configs = dict.fromkeys(names, default_dynamic_qconfig)
        quantize_dynamic(model, configs, dtype=torch.qint8, inplace=True)  # type: ignore[no-untyped-call]


def _record(model: nn.Module, plan: LayerPlan, shape: tuple[int, int]) -> LayerRecord:
    """Record a quantized layer, and set its size for `footprint`, because its weight is not a parameter."""
    layer: Any = model.get_submodule(plan.name)
    plan.replace(model, layer)  # torch has replaced the layer only under its first name
    parameters = shape[0] * shape[1]
    bias = layer.bias()
    layer.packed_bytes = _weight_bytes(parameters) + (0 if bias is None else bias.nbytes)
    return LayerRecord(
        name=plan.name,
        shape=shape,
        bits=8,
        bytes_before=4 * parameters,
        bytes_after=_weight_bytes(parameters),
        granularity="per_tensor",
        execution="native",
    )


def _weight_bytes(parameters: int) -> int:
    """Return the bytes of the packed int8 values and their scale, without a kernel's padding.

    The engine onednn keeps the original values beside the packed ones (torch 2.13: 36 MB for a weight of 16 MB; x86,
    the default on such a CPU, 16 MB).
    """
    import torch  # noqa: PLC0415 - as above

    return parameters * (2 if torch.backends.quantized.engine == "onednn" else 1) + 4


TORCH_DYNAMIC = Quantizer(
    name="torch",
    summary="torch's own dynamic int8 quantization: torch:quantize_dynamic",
    recipe=_recipe,
    apply=_apply,
)
