"""`bnb:nf4`, `bnb:fp4` and `bnb:int8`: linear layers of bitsandbytes.

The settings are the defaults of transformers' `BitsAndBytesConfig`: blocks of 64 weights with scales in float32, and
for int8 outliers above 6 computed in floating point (LLM.int8(), https://arxiv.org/abs/2208.07339).
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.quantize.footprint import hidden_bytes
from pytest_qeval.quantize.quantization import LayerRecord, Quantizer
from pytest_qeval.quantize.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pytest_qeval.quantize.layers import LayerPlan

_SUMMARIES = {
    "nf4": "4-bit NormalFloat weights by bitsandbytes, blocks of 64; computed in the model's floating-point type",
    "fp4": "4-bit floating-point weights by bitsandbytes, blocks of 64; computed in the model's floating-point type",
    "int8": "LLM.int8() by bitsandbytes: int8 weights and activations, columns with values above 6 in floating point",
}
_OUTLIER_THRESHOLD = 6.0
_DECODED = "bitsandbytes turns 4-bit weights into floating point for every product, which may be slower on a CPU"
_THROUGH_FLOAT16 = (
    "bitsandbytes casts activations to float16 before it rounds them, and in a batch one row's outliers decide how the "
    "others are computed"
)


def _recipe(config: str) -> Recipe:
    if find_spec("bitsandbytes") is None:
        raise MissingPackageError("bitsandbytes", extra="bitsandbytes", purpose=f"recipe 'bnb:{config}'")
    if config not in _SUMMARIES:
        near = difflib.get_close_matches(config, _SUMMARIES, n=1, cutoff=0.3)
        guess = f" Did you mean 'bnb:{near[0]}'?" if near else ""
        raise RecipeError(f"bitsandbytes has no data type {config!r}.{guess} Available: {', '.join(_SUMMARIES)}.")
    return Recipe(name=f"bnb:{config}", summary=_SUMMARIES[config], quantizer="bnb", config=config)


def _apply(model: nn.Module, recipe: Recipe, _: Callable[[], None]) -> list[LayerRecord]:
    """Replace every `nn.Linear` that is neither kept nor tied, one after the other.

    Raises:
        RecipeError: The model has no such layer.
    """
    from torch import nn  # noqa: PLC0415 - imported lazily by contract

    from pytest_qeval.quantize.layers import plan_layers, record_kept  # noqa: PLC0415 - imports torch

    plans = plan_layers(model, recipe, types={nn.Linear})
    return [record_kept(plan, model) if plan.kept else _replace(model, plan, recipe.config) for plan in plans]


def _replace(model: nn.Module, plan: LayerPlan, config: str) -> LayerRecord:
    linear = plan.module(model)
    weight = linear.weight.detach()
    rows, columns = weight.shape
    layer = _make_layer(linear, weight, config)
    plan.replace(model, layer)
    layer.packed_bytes = hidden_bytes(layer)  # before the first product, which may drop a part
    on_cpu = weight.device.type == "cpu"
    return LayerRecord(
        name=plan.name,
        shape=(rows, columns),
        bits=8 if config == "int8" else 4,
        bytes_before=weight.nbytes,
        bytes_after=layer.weight.nbytes + layer.packed_bytes,
        granularity="per_channel" if config == "int8" else f"per_group({layer.weight.blocksize})",
        execution="native",
        note=_THROUGH_FLOAT16 if config == "int8" else _DECODED if on_cpu else "",
    )


def _make_layer(linear: Any, weight: torch.Tensor, config: str) -> Any:
    """Make a layer of bitsandbytes; its weight is quantized by moving it from the CPU to a device, or to the CPU."""
    from bitsandbytes import nn  # noqa: PLC0415 - an extra

    shape = {"input_features": linear.in_features, "output_features": linear.out_features}
    common = {**shape, "bias": linear.bias is not None, "device": "meta"}
    layer: Any
    if config == "int8":
        # Logged for every product in another type than float16; the layer's note says it once.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        layer = nn.Linear8bitLt(**common, has_fp16_weights=False, threshold=_OUTLIER_THRESHOLD)
        packed = nn.Int8Params(weight.cpu(), requires_grad=False, has_fp16_weights=False)
    else:
        layer = nn.Linear4bit(**common, compute_dtype=weight.dtype, quant_type=config)
        packed = nn.Params4bit(
            weight.cpu(), requires_grad=False, compress_statistics=False, quant_type=config, module=layer
        )
    layer.weight = packed.to(weight.device)
    layer.bias = linear.bias
    return layer.train(linear.training)


BITSANDBYTES = Quantizer(
    name="bnb",
    summary="layers of bitsandbytes: bnb:nf4, bnb:fp4, bnb:int8",
    recipe=_recipe,
    apply=_apply,
)
