"""What loading and quantizing need at their peak: the one rule that changes when the loader does."""

from __future__ import annotations

from pytest_qeval.engines.fit.shapes import ModelShape
from pytest_qeval.engines.fit.weights import ITEMSIZES, ModelBytes, dtype_of
from pytest_qeval.quantize.recipe import Recipe

_GGUF_ITEMSIZE = 4
_CHUNK_ELEMENTS = 2**23
"""Weights that are rounded at a time (`quantize.kernels.weights`)."""
_COPIES = 4
"""Of a chunk in 32 bits: as floats, divided by repeated scales, as integers for a kernel to pack."""


def loading_peak(shape: ModelShape, recipe: Recipe, weights: ModelBytes) -> int:
    """Return the bytes of the model at the peak of loading and quantizing, without the rest of the process.

    The whole checkpoint is loaded in floating point, and then quantized layer by layer. Safetensors files are mapped:
    of weights that keep their type, these pages are the model; others are converted beside them. A GGUF file is
    unpacked to float32 first, and an exported checkpoint to floats beside its integers.
    """
    loaded = float_bytes(shape, weights) + _mapped_beside(shape, recipe)
    return max(loaded + _rounding(shape, recipe), weights.resident)


def float_bytes(shape: ModelShape, weights: ModelBytes) -> int:
    """Return the bytes of the model in floating point, which it needs before it is quantized."""
    if shape.stored == "gguf":
        return _GGUF_ITEMSIZE * shape.parameters
    integers = sum(one.elements for one in shape.tensors if not one.floating) if shape.exported else 0
    return weights.floats + integers


def _rounding(shape: ModelShape, recipe: Recipe) -> int:
    """Return what rounding the largest layer needs beside it."""
    if not (recipe.quantizes or shape.exported):
        return 0
    largest = max((one.elements for one in shape.tensors if one.kind == "linear" and not one.is_output), default=0)
    return _COPIES * 4 * min(_CHUNK_ELEMENTS, largest)


def _mapped_beside(shape: ModelShape, recipe: Recipe) -> int:
    """Return the pages of files that are resident beside the model that was made of them."""
    if shape.stored in {"gguf", "qeval"}:
        return 0
    itemsize = ITEMSIZES.get(dtype_of(shape, recipe), 4)
    stored = shape.files_bytes or shape.parameters * ITEMSIZES.get(shape.dtype, 4)
    return 0 if stored == shape.parameters * itemsize else stored
