"""`bnb:nf4`, `bnb:fp4` and `bnb:int8`: the linear layers of bitsandbytes, put in the place of the model's own.

The settings are those that transformers' `BitsAndBytesConfig` has by default: blocks of 64 weights whose scales stay in
float32, and for int8 outliers above 6 computed in floating point (LLM.int8(), https://arxiv.org/abs/2208.07339).
"""

from __future__ import annotations

import difflib
import logging
import time
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

__all__ = ["BITSANDBYTES", "hidden_bytes"]

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


def _apply(model: nn.Module, recipe: Recipe, _: Callable[[], None]) -> Quantization:
    """Replace every `nn.Linear` that is neither kept nor tied, one after the other.

    Raises:
        RecipeError: The model has no such layer.
    """
    from pytest_qeval.quantize.places import plan_linears, record_kept  # noqa: PLC0415 - imports torch

    start = time.perf_counter()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    layers = tuple(
        record_kept(place, model) if place.kept else _replace(model, place, recipe.config)
        for place in plan_linears(model, recipe)
    )
    return Quantization(layers=layers, parameters=parameters, duration_s=time.perf_counter() - start)


def _replace(model: nn.Module, place: Place, config: str) -> LayerRecord:
    """Put a layer of bitsandbytes in a place, and leave with it the bytes that are no parameter of it."""
    linear = place.find(model)
    weight = linear.weight.detach()
    rows, columns = weight.shape
    layer = _int8(linear, weight) if config == "int8" else _four_bits(linear, weight, config)
    place.put(model, layer)
    hidden = hidden_bytes(layer)
    layer.packed_bytes = hidden
    layer.packed_parameters = rows * columns - layer.weight.numel()
    on_cpu = weight.device.type == "cpu"
    return LayerRecord(
        name=place.name,
        shape=(rows, columns),
        bits=8 if config == "int8" else 4,
        kept=False,
        bytes_before=weight.nbytes,
        bytes_after=layer.weight.nbytes + hidden,
        granularity="per_channel" if config == "int8" else f"per_group({layer.weight.blocksize})",
        execution="native",
        note=_THROUGH_FLOAT16 if config == "int8" else _DECODED if on_cpu else "",
    )


def _int8(linear: Any, weight: torch.Tensor) -> Any:
    from bitsandbytes import nn  # noqa: PLC0415 - an extra

    # Said at every product in anything but float16, and said once by the layer's note.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    layer = nn.Linear8bitLt(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        has_fp16_weights=False,
        threshold=_OUTLIER_THRESHOLD,
        device="meta",
    )
    # Weights become integers on their way from the CPU to a device, which may be the CPU.
    layer.weight = nn.Int8Params(weight.cpu(), requires_grad=False, has_fp16_weights=False).to(weight.device)
    return _finished(layer, linear)


def _four_bits(linear: Any, weight: torch.Tensor, kind: str) -> Any:
    from bitsandbytes import nn  # noqa: PLC0415 - an extra

    layer = nn.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=weight.dtype,
        quant_type=kind,
        device="meta",
    )
    layer.weight = nn.Params4bit(
        weight.cpu(), requires_grad=False, compress_statistics=False, quant_type=kind, module=layer
    ).to(weight.device)
    return _finished(layer, linear)


def _finished(layer: Any, linear: Any) -> Any:
    layer.bias = linear.bias
    return layer.train(linear.training)


def hidden_bytes(layer: Any) -> int:
    """Bytes of the scales, and of the table that 4-bit codes are looked up in: no parameters, but parts of the weight.

    0 for a layer that bitsandbytes has not quantized.
    """
    weight = getattr(layer, "weight", None)
    rows = getattr(weight, "SCB", None)
    if rows is None:  # the first product moves it
        rows = getattr(getattr(layer, "state", None), "SCB", None)
    return _state_bytes(getattr(weight, "quant_state", None)) + (0 if rows is None else int(rows.nbytes))


def _state_bytes(state: Any) -> int:
    """Bytes of scales and table, and of those of the scales where these are quantized too."""
    if state is None:
        return 0
    # some are deleted when the scales of scales are resolved for a CPU's kernel
    parts = [getattr(state, name, None) for name in ("absmax", "code", "offset")]
    return sum(int(part.nbytes) for part in parts if part is not None) + _state_bytes(getattr(state, "state2", None))


BITSANDBYTES = Quantizer(
    name="bnb",
    summary="layers of bitsandbytes: bnb:nf4, bnb:fp4, bnb:int8",
    recipe=_recipe,
    apply=_apply,
)
