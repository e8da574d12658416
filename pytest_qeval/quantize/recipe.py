"""Recipes: what is done to a model before it is asked, as plain values that can be compared and reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from pytest_qeval.errors import RecipeError
from pytest_qeval.schema import Json

__all__ = [
    "EXPORT_FILE",
    "ActivationScheme",
    "CalibrationPlan",
    "ClipMethod",
    "Dtype",
    "LayerRule",
    "Recipe",
    "WeightScheme",
]

Dtype = Literal["checkpoint", "float32", "bfloat16"]
"""Floating-point type that the model is loaded in; `checkpoint` is whatever its weights are stored in."""

ClipMethod = Literal["minmax", "mse", "entropy", "percentile"]
"""How large a value the last step of the grid stands for: `minmax` the largest there is, `mse` the one that moves all
values least (mean squared error), `entropy` the one that keeps their distribution best (Kullback-Leibler divergence),
`percentile` the one that so many per cent of the magnitudes do not exceed. Whatever is larger is clipped."""

EXPORT_FILE = "qeval.json"
"""What makes a folder an exported checkpoint of this program: its recipe lies there."""

_BITS = range(2, 9)
_ACTIVATION_BITS = range(4, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScheme:
    """How the weights of a linear layer become integers; always symmetric, so that zero stays zero.

    Raises:
        RecipeError: when the parts do not fit together.
    """

    bits: int
    """2 to 8; the grid of `b` bits is -(2^(b-1) - 1) … 2^(b-1) - 1."""
    granularity: Literal["per_tensor", "per_channel", "per_group"] = "per_channel"
    """How many weights share a scale: all, those of one output feature, or `group_size` neighbours of one output
    feature (the last group of a row may be shorter)."""
    group_size: int | None = None
    """For `per_group` only: 8 or more."""
    clip: ClipMethod = "minmax"
    """Not `entropy`, which needs a histogram of many values."""
    percentile: float | None = None
    """For `percentile` only: above 50, at most 100."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.bits not in _BITS:
            raise RecipeError(f"weights of {self.bits} bits: 2 to 8 are possible.")
        if (self.granularity == "per_group") != (self.group_size is not None):
            raise RecipeError("a group size belongs to the granularity per_group, and to no other.")
        if self.group_size is not None and self.group_size < 8:  # noqa: PLR2004 - a scale of 16 bits is 2 bits a weight
            raise RecipeError(f"groups of {self.group_size} weights: 8 or more are possible.")
        if self.clip == "entropy":
            raise RecipeError("weights cannot be clipped by entropy; minmax, mse and percentile are possible.")
        _check_percentile(self.clip, self.percentile)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationScheme:
    """How the inputs of a linear layer become integers.

    Raises:
        RecipeError: when the parts do not fit together.
    """

    bits: int = 8
    """4 to 8."""
    granularity: Literal["per_token", "per_tensor"] = "per_token"
    """`per_token`: one scale per row, so that a completion does not depend on its neighbours in the batch.
    `per_tensor`: one for all rows that are multiplied together, or, where static, one for ever."""
    dynamic: bool = True
    """Whether scales are computed from the values at hand; else calibration has fixed them before."""
    clip: ClipMethod = "minmax"
    """Anything but `minmax` needs calibration."""
    percentile: float | None = None
    """For `percentile` only: above 50, at most 100."""
    symmetric: bool = True
    """Whether zero is the middle of the grid; else the grid spans from the smallest value to the largest."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.bits not in _ACTIVATION_BITS:
            raise RecipeError(f"activations of {self.bits} bits: 4 to 8 are possible, or 16 for floating point.")
        if not self.dynamic and self.granularity == "per_token":
            raise RecipeError("static activations are per_tensor: a scale fixed before a token is known cannot be its.")
        if self.dynamic and self.clip != "minmax":
            raise RecipeError(f"dynamic activations are not clipped; {self.clip} needs static ones.")
        _check_percentile(self.clip, self.percentile)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPlan:
    """What static activations are observed on: each text is a prompt, and the model continues it."""

    samples: int = 128
    characters: int = 512
    """To which every text is cut."""
    new_tokens: int = 32
    """Generated after every text, and observed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRule:
    """Another scheme for some layers."""

    pattern: str
    """As in `Recipe.kept`."""
    weights: WeightScheme
    activations: ActivationScheme | None = None


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
    rules: tuple[LayerRule, ...] = ()
    """Layers that are treated otherwise; the first rule that matches counts, `kept` comes before all of them."""
    calibration: CalibrationPlan | None = None
    """How static activations are calibrated; None where there are none."""
    quantizer: str = ""
    """The registered quantizer that applies the recipe; empty for this package's own schemes above."""
    config: str = ""
    """What that quantizer is told, such as `Int8WeightOnlyConfig`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.activations and not self.weights:
            raise RecipeError(f"recipe {self.name!r}: activations are quantized together with weights, not alone.")
        if self.needs_calibration != (self.calibration is not None) and not self.quantizer:
            raise RecipeError(f"recipe {self.name!r}: static activations need calibration, and nothing else does.")

    @property
    def quantizes(self) -> bool:
        """Whether anything is rounded at all."""
        return self.weights is not None or bool(self.rules) or bool(self.quantizer)

    @property
    def is_own_scheme(self) -> bool:
        """Whether this package rounds the weights, and no other quantizer."""
        return self.quantizes and not self.quantizer

    @property
    def needs_calibration(self) -> bool:
        """Whether any layer has static activations."""
        schemes = (self.activations, *(rule.activations for rule in self.rules))
        return any(scheme is not None and not scheme.dynamic for scheme in schemes)

    @property
    def scheme(self) -> str:
        """The literature's short form, such as `W8A8`; `A16` says that activations stay in floating point."""
        if self.quantizer:
            return self.config
        if self.weights is None and not self.rules:
            return {"float32": "W32A32", "bfloat16": "W16A16", "checkpoint": "full precision"}[self.dtype]
        base = _short(self.weights, self.activations) if self.weights else "W16A16"
        return base + (" mixed" if self.rules else "")

    def to_dict(self) -> Json:
        """Return the recipe's part of the report, made of plain values only; the name is the key it is filed under."""
        return {
            "summary": self.summary,
            "scheme": self.scheme,
            "dtype": self.dtype,
            "weights": asdict(self.weights) if self.weights else None,
            "activations": asdict(self.activations) if self.activations else None,
            "kept": list(self.kept) if self.quantizes else [],
        }


def _short(weights: WeightScheme, activations: ActivationScheme | None) -> str:
    return f"W{weights.bits}A{activations.bits if activations else 16}"


def _check_percentile(clip: ClipMethod, percentile: float | None) -> None:
    if (clip == "percentile") != (percentile is not None):
        raise RecipeError("a percentile belongs to the clip method percentile, and to no other.")
    if percentile is not None and not 50 < percentile <= 100:  # noqa: PLR2004 - below, most values would be clipped
        raise RecipeError(f"a percentile of {percentile:g}: above 50 and at most 100 are possible.")
