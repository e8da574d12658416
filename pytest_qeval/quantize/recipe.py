"""Recipes: what is done to a model before it is asked, as plain values that can be compared and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

from pytest_qeval.schema import Json

__all__ = [
    "AUTO",
    "BF16",
    "FP32",
    "INT8",
    "RECIPES",
    "W2A16",
    "ActivationScheme",
    "Dtype",
    "Recipe",
    "WeightScheme",
]

Dtype = Literal["checkpoint", "float32", "bfloat16"]
"""Floating-point type that the model is loaded in; `checkpoint` is whatever its weights are stored in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScheme:
    """How the weights of a linear layer become integers. The types list what exists today."""

    bits: int
    """2 to 8; the grid of `b` bits is the symmetric -(2^(b-1) - 1) … 2^(b-1) - 1."""
    granularity: Literal["per_channel"] = "per_channel"
    """How many weights share a scale: `per_channel` is one scale per output feature."""
    clip: Literal["minmax"] = "minmax"
    """How the scale is chosen: `minmax` lets the largest magnitude fall on the last step of the grid."""
    symmetric: Literal[True] = True
    """The grid has no zero point: zero stays zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationScheme:
    """How the inputs of a linear layer become integers."""

    bits: Literal[8] = 8
    granularity: Literal["per_token"] = "per_token"
    """`per_token`: one scale per row, so that a completion does not depend on its neighbours in the batch."""
    dynamic: Literal[True] = True
    """Scales are computed from the values at hand, without calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named way of making a model cheaper, or of leaving it as it is."""

    name: str
    summary: str
    """One honest line for `--qeval-list recipes` and the report."""
    dtype: Dtype = "checkpoint"
    weights: WeightScheme | None = None
    """None leaves the weights in floating point."""
    activations: ActivationScheme | None = None
    """None leaves the activations in floating point."""
    kept: tuple[str, ...] = ("lm_head",)
    """Linear layers that stay in floating point: `fnmatch` patterns of module names, a bare name also matching
    the last component of a dotted one (`lm_head` keeps `model.lm_head`)."""

    @property
    def quantizes(self) -> bool:
        """Whether anything is rounded at all."""
        return self.weights is not None

    @property
    def scheme(self) -> str:
        """The literature's short form, such as `W8A8`; `A16` says that activations stay in floating point."""
        if self.weights is None:
            return {"float32": "W32A32", "bfloat16": "W16A16", "checkpoint": "full precision"}[self.dtype]
        return f"W{self.weights.bits}A{self.activations.bits if self.activations else 16}"

    def to_dict(self) -> Json:
        """Give the recipe's part of the report, made of plain values only; the name is the key it is filed under."""
        return {
            "summary": self.summary,
            "scheme": self.scheme,
            "dtype": self.dtype,
            "weights": asdict(self.weights) if self.weights else None,
            "activations": asdict(self.activations) if self.activations else None,
            "kept": list(self.kept) if self.quantizes else [],
        }


AUTO = Recipe(name="auto", summary="the checkpoint in the precision it is stored in; the default baseline")
FP32 = Recipe(name="fp32", summary="32-bit floating point; the slowest, for comparison", dtype="float32")
BF16 = Recipe(name="bf16", summary="bfloat16 weights and activations, whatever the checkpoint is", dtype="bfloat16")
INT8 = Recipe(
    name="int8",
    summary="int8 weights per channel, int8 activations per token, computed in int8; lm_head kept",
    weights=WeightScheme(bits=8),
    activations=ActivationScheme(),
)
W2A16 = Recipe(
    name="w2a16",
    summary="weights rounded to three values per channel, computed in float; expected to fail, to see a gate break",
    weights=WeightScheme(bits=2),
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({r.name: r for r in (AUTO, FP32, BF16, INT8, W2A16)})
"""The built-in recipes by name, in the order in which they are listed."""
