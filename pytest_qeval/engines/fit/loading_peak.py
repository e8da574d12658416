"""What loading and quantizing need at their peak: the one rule that changes when the loader does."""

from __future__ import annotations

from pytest_qeval.engines.fit.shapes import ModelShape
from pytest_qeval.engines.fit.weights import ITEMSIZES, ModelBytes, dtype_of
from pytest_qeval.quantize.recipe import Recipe

_CHUNK_ELEMENTS = 2**23
"""Weights that are rounded at a time (`quantize.kernels.weights`)."""
_COPIES = 4
"""Of a chunk in 32 bits: as floats, divided by repeated scales, as integers for a kernel to pack."""


def loading_peak(shape: ModelShape, recipe: Recipe, weights: ModelBytes) -> int:
    """Return the bytes of the model at the peak of loading and quantizing, without the rest of the process.

    That is the model as it is held meanwhile, one tensor as it is read, and what rounding it needs.
    """
    read = max((one.elements for one in shape.tensors), default=0) * ITEMSIZES.get(dtype_of(shape, recipe), 4)
    return max(held_while_loading(shape, recipe, weights) + read + _rounding(shape, recipe), weights.resident)


def held_while_loading(shape: ModelShape, recipe: Recipe, weights: ModelBytes) -> int:
    """Return the bytes of the weights once all are loaded.

    A recipe of this package's own schemes rounds each weight as soon as it has been read, and an exported checkpoint is
    made of its integers. Calibration needs the whole model in floating point first, and so do the quantizers of other
    packages, which are not known here.
    """
    if shape.exported or (recipe.is_own_scheme and not recipe.needs_calibration and shape.stored in {"", "gguf"}):
        return weights.resident
    return weights.floats


def _rounding(shape: ModelShape, recipe: Recipe) -> int:
    """Return what rounding the largest layer needs beside it."""
    if not (recipe.quantizes or shape.exported):
        return 0
    largest = max((one.elements for one in shape.tensors if one.kind == "linear" and not one.is_output), default=0)
    return _COPIES * 4 * min(_CHUNK_ELEMENTS, largest)
