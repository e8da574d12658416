"""Shapes of a checkpoint that `--qeval-export` wrote: its layers as they are once unpacked, and its recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import TensorHeader
from pytest_qeval.quantize.recipe import EXPORT_FILE, Recipe
from pytest_qeval.quantize.rules import rule_of

_PACKED, _WORD_BITS = ".weight_packed", 32
_BESIDE = (".weight_scale", ".weight_shape")


def export_recipe(directory: Path) -> Recipe:
    """Return the recipe that an exported checkpoint was made by.

    Raises:
        ModelSourceError: when its description cannot be read.
    """
    file = directory / EXPORT_FILE
    try:
        return msgspec.convert(json.loads(file.read_text(encoding="utf-8"))["recipe"], Recipe)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelSourceError(f"{directory} is no whole quantized checkpoint ({error!r}): export it again.") from error


def unpacked_headers(headers: Mapping[str, TensorHeader], recipe: Recipe) -> Mapping[str, TensorHeader]:
    """Return the headers with every packed layer as one weight of its own shape."""
    return dict(_unpacked(headers, recipe))


def _unpacked(headers: Mapping[str, TensorHeader], recipe: Recipe) -> Iterator[tuple[str, TensorHeader]]:
    for name, header in headers.items():
        if name.endswith(_BESIDE):
            continue
        layer = name.removesuffix(_PACKED)
        rule = rule_of((layer,), recipe) if layer != name else None
        if rule is None:
            yield name, header
            continue
        shape = (header.shape[0], header.shape[1] * _WORD_BITS // rule.weights.bits)
        yield f"{layer}.weight", TensorHeader(dtype=header.dtype, shape=shape, stored_bytes=header.stored_bytes)
