"""The named recipes, as constants for the entry points in `pyproject.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pytest_qeval.quantize.grammar import parse_recipe
from pytest_qeval.quantize.recipe import Recipe


def _alias(name: str, scheme: str, summary: str) -> Recipe:
    """Make a recipe of a scheme, a name and a summary."""
    return replace(parse_recipe(scheme), name=name, summary=summary)


AUTO = Recipe(name="auto", summary="the checkpoint in the precision it is stored in; the default baseline")
FP32 = Recipe(name="fp32", summary="32-bit floating point; the slowest, for comparison", dtype="float32")
BF16 = Recipe(name="bf16", summary="bfloat16 weights and activations, whatever the checkpoint is", dtype="bfloat16")
INT8 = _alias("int8", "w8a8", "int8 weights per channel, int8 activations per token, computed in int8; lm_head kept")
INT8_STATIC = _alias(
    "int8-static",
    "w8a8-static-mse",
    "int8 weights per channel, int8 activations per tensor with calibrated scales, computed in int8; lm_head kept",
)
INT4 = _alias(
    "int4",
    "w4a16-g128",
    "4-bit weights in groups of 128, activations in floating point; made for single streams; lm_head kept",
)
W2A16 = _alias(
    "w2a16",
    "w2a16",
    "weights rounded to three values per channel, computed in float; meant to fail, to show a broken gate",
)
STUDY_STATIC = _alias(
    "study-static",
    "w8a8-static-mse-n500",
    "the static recipe of Wei et al. (FSE 2023): W8A8, activations per tensor clipped by MSE over 500 texts",
)
STUDY_DYNAMIC = Recipe(
    name="study-dynamic",
    summary="the dynamic recipe of Wei et al. (FSE 2023): torch's stock W8A8, weights per tensor, lm_head included",
    dtype="float32",
    kept=(),
    quantizer="torch",
    config="quantize_dynamic",
)
ORIGINAL = Recipe(
    name="original",
    summary=(
        "the model that --qeval-baseline names, in its own precision; set automatically; do not pass it as a recipe"
    ),
)
AS_IS = Recipe(
    name="as-is", summary="a checkpoint that is quantized already, as it is; the default for such a checkpoint"
)

_LISTED = (AUTO, FP32, BF16, INT8, INT8_STATIC, INT4, W2A16, STUDY_STATIC, STUDY_DYNAMIC, AS_IS, ORIGINAL)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _LISTED})
"""The recipes by name, in the order of `--qeval-list recipes`."""
