"""How many bytes a model's weights take under a recipe, by the same rules and layouts that `quantize` has.

`quantize.kernels` says how each kernel packs a weight; a test compares this with the models that it makes.
"""

from __future__ import annotations

from typing import NamedTuple

from pytest_qeval.engines.fit.shapes import ModelShape, ModelTensor
from pytest_qeval.measure.memory_facts import PartBytes
from pytest_qeval.quantize.recipe import LayerRule, Recipe, WeightScheme
from pytest_qeval.quantize.rules import matches, rule_of

ITEMSIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_ONEDNN_BLOCK = 64
"""Rows and columns to a multiple of which oneDNN pads an int8 weight."""
_INT8_COLUMNS = 16
_INT4_GROUPS, _INT4_BLOCK = (256, 128, 64, 32), 64
"""As in `quantize.kernels.weight_only`."""
_PACKED_TYPES = ("float32", "bfloat16")
"""Types in which oneDNN packs layers that stay in floating point, on a CPU with AVX-512 (`kernels.row_blocks`)."""
_BYTE, _NIBBLE = 8, 4


class LayerBytes(NamedTuple):
    """One quantized linear layer."""

    integers: int
    scales: int
    resident: int
    """As it is held: the floating-point weight where quantization is simulated."""
    unpacked: int = 0
    """A floating-point copy that a prefill makes of it, for a moment."""


class ModelBytes(NamedTuple):
    """A model under a recipe."""

    parts: PartBytes
    resident: int
    """Weights as they are held, the packed copy of a tied output layer included."""
    unpacked: int
    """The largest floating-point copy that a prefill makes of a packed layer."""
    packing: int
    """The largest floating-point layer that is held twice for a moment, while oneDNN packs it."""
    most_features: int
    """Output features of the widest linear layer."""
    floats: int
    """All weights in floating point, before anything is quantized."""


def dtype_of(shape: ModelShape, recipe: Recipe) -> str:
    """Return the floating-point type that a recipe computes in, such as `bfloat16`."""
    return shape.dtype if recipe.dtype == "checkpoint" else recipe.dtype


def model_bytes(shape: ModelShape, recipe: Recipe) -> ModelBytes:
    """Add up a model under a recipe; one of another package's quantizer is taken for unquantized.

    Integers that another program has stored stay as they are.
    """
    recipe = shape.exported or recipe
    dtype = dtype_of(shape, recipe)
    itemsize = ITEMSIZES.get(dtype, 4)
    sums: dict[str, int] = dict.fromkeys(("quantized", "scales", "kept", "embeddings", "others"), 0)
    resident = unpacked = floats = 0
    kept: list[int] = []
    biases = _biases(shape)
    for tensor in shape.tensors:
        own = tensor.elements * itemsize if tensor.floating or shape.exported else tensor.stored_bytes
        floats += own
        rule = _rule(tensor, recipe)
        if rule is None:
            blocks = shape.stored == "gguf" and not recipe.quantizes  # unpacked, but counted as they are stored
            sums[_part(tensor)] += tensor.stored_bytes if blocks else own
            resident += own
            kept += [own] if tensor.kind == "linear" else []
            continue
        found = layer_bytes(tensor.shape, rule, dtype)
        sums["quantized"] += found.integers
        sums["scales"] += found.scales
        resident += found.resident
        unpacked = max(unpacked, found.unpacked)
        if rule.activations and tensor.name in biases:  # int8 layers hold their biases in float32
            more = biases[tensor.name] * (4 - itemsize)
            sums["others"] += more
            resident += more
    tied = max((tensor.elements for tensor in shape.tensors if tensor.kind == "embedding"), default=0)
    features = max((tensor.shape[0] for tensor in shape.tensors if tensor.kind == "linear"), default=0)
    packs = dtype in _PACKED_TYPES
    copy = tied * itemsize if shape.tied and packs else 0
    packing = max(kept, default=0) if packs else 0
    return ModelBytes(PartBytes(**sums), resident + copy, unpacked, packing, features, floats)


def layer_bytes(shape: tuple[int, ...], rule: LayerRule, dtype: str) -> LayerBytes:
    """Return the bytes of a linear layer `(out_features, in_features)` under a scheme."""
    rows, columns = shape
    scheme, floats = rule.weights, rows * columns * ITEMSIZES.get(dtype, 4)
    if rule.activations and scheme.group_size is None:  # `OneDnnKernel`, whatever the bits
        padded = _round_up(rows, _ONEDNN_BLOCK)
        integers = padded * _round_up(columns, _ONEDNN_BLOCK) + 4 * padded
        return LayerBytes(integers, 4 * rows, integers + 4 * rows)
    if not rule.activations and dtype in {"float32", "bfloat16"}:
        if scheme.bits == _BYTE and scheme.group_size is None and columns % _INT8_COLUMNS == 0:  # `Int8PackKernel`
            return LayerBytes(rows * columns, 4 * rows, rows * (columns + 4), floats)
        if scheme.bits == _NIBBLE and (group := _int4_group(rows, columns, scheme)):  # `Int4Kernel`
            integers, scales = rows * columns // 2, 2 * rows * (columns // group) * ITEMSIZES[dtype]
            return LayerBytes(integers, scales, integers + scales, floats)
    integers, scales = _packed(rows, columns, scheme, ITEMSIZES.get(dtype, 4))
    return LayerBytes(integers, scales, floats)


def _packed(rows: int, columns: int, scheme: WeightScheme, itemsize: int) -> tuple[int, int]:
    """Return the integers and scales of `quantize.kernels.weights.packed_bytes`."""
    integers = -(-rows * columns * scheme.bits // 8)
    if scheme.group_size is not None:
        return integers, rows * -(-columns // scheme.group_size) * itemsize
    return integers, 4 * (1 if scheme.granularity == "per_tensor" else rows)


def _int4_group(rows: int, columns: int, scheme: WeightScheme) -> int | None:
    size = min(scheme.group_size or columns, columns)
    if rows % _INT4_BLOCK or columns % size:
        return None
    return next((group for group in _INT4_GROUPS if size % group == 0), None)


def _rule(tensor: ModelTensor, recipe: Recipe) -> LayerRule | None:
    """Return the scheme of a linear layer that is quantized by a scheme of this package."""
    if tensor.kind != "linear" or not recipe.is_own_scheme:
        return None
    if any(matches((tensor.name,), pattern) for pattern in recipe.kept):
        return None
    return rule_of((tensor.name,), recipe)


def _biases(shape: ModelShape) -> dict[str, int]:
    """Return the elements of biases by the name of their layer."""
    named = ((one.name.removesuffix(".bias"), one) for one in shape.tensors if one.name.endswith(".bias"))
    return {name: one.elements for name, one in named}


def _part(tensor: ModelTensor) -> str:
    """Return the part that a tensor belongs to if nothing quantizes it here."""
    if "scale" in tensor.name or "absmax" in tensor.name:
        return "scales"
    if not tensor.floating:
        return "quantized"
    if tensor.kind == "embedding" or tensor.is_output:
        return "embeddings"
    return "kept" if tensor.kind == "linear" else "others"


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
