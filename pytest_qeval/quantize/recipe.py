"""Recipes: how a model is quantized, as plain values that can be compared and reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from pytest_qeval.errors import RecipeError
from pytest_qeval.schema import Json

Dtype = Literal["checkpoint", "float32", "bfloat16"]
"""Floating-point type in which the model is loaded; `checkpoint` is the type of the stored weights."""

ClipMethod = Literal["minmax", "mse", "entropy", "percentile"]
"""The largest value that the grid represents: `minmax` the largest there is, `mse` the one with the least mean squared
error, `entropy` the one that preserves the distribution best (Kullback-Leibler divergence), `percentile` the one that
this percentage of the magnitudes does not exceed. Larger values are clipped."""

_UNTOUCHED = "full precision"
"""Scheme of a recipe that changes nothing."""
EXPORT_FILE = "qeval.json"
"""Identifies a folder as an exported checkpoint of this program, and holds its recipe."""

_BITS = range(2, 9)
_ACTIVATION_BITS = range(4, 9)
_CACHE_BITS = (8, 4)
_GRID_BYTES = 4
"""Beside each vector of the cache: one float32, or two float16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScheme:
    """How the weights of a linear layer are quantized; always symmetric, so that zero stays zero.

    Raises:
        RecipeError: Fields contradict each other.
    """

    bits: int
    """2 to 8; the grid of `b` bits is -(2^(b-1) - 1) … 2^(b-1) - 1."""
    granularity: Literal["per_tensor", "per_channel", "per_group"] = "per_channel"
    """Which weights share a scale: all, those of one output feature, or `group_size` neighbours of one output feature
    (the last group of a row may be shorter)."""
    group_size: int | None = None
    """For `per_group` only: 8 or more."""
    clip: ClipMethod = "minmax"
    """Not `entropy`, which needs a histogram."""
    percentile: float | None = None
    """For `percentile` only: above 50, at most 100."""

    def __post_init__(self) -> None:
        """Check the fields."""
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
    """How the inputs of a linear layer are quantized.

    Raises:
        RecipeError: Fields contradict each other.
    """

    bits: int = 8
    """4 to 8."""
    granularity: Literal["per_token", "per_tensor"] = "per_token"
    """`per_token`: one scale per row, which does not depend on other rows of the batch.
    `per_tensor`: one for all rows that are multiplied together, or, if static, one for all inputs."""
    dynamic: bool = True
    """Whether scales are computed from the inputs; otherwise they are fixed by calibration."""
    clip: ClipMethod = "minmax"
    """Anything but `minmax` needs calibration."""
    percentile: float | None = None
    """For `percentile` only: above 50, at most 100."""
    symmetric: bool = True
    """Whether zero is the middle of the grid; otherwise the grid spans from the smallest value to the largest."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.bits not in _ACTIVATION_BITS:
            raise RecipeError(f"activations of {self.bits} bits: 4 to 8 are possible, or 16 for floating point.")
        if not self.dynamic and self.granularity == "per_token":
            raise RecipeError("static activations are per_tensor: a scale fixed before a token is known cannot be its.")
        if self.dynamic and self.clip != "minmax":
            raise RecipeError(f"dynamic activations are not clipped; {self.clip} needs static ones.")
        _check_percentile(self.clip, self.percentile)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheScheme:
    """How keys and values are quantized as they are written to the cache; one grid per token and head.

    Raises:
        RecipeError: There is no grid of so many bits.
    """

    bits: int
    """8: symmetric, a float32 scale beside each vector, as in vLLM's `int8_per_token_head`. 4: from the smallest value
    to the largest, a float16 scale and a float16 minimum, as in LMDeploy's `quant_policy=4`."""

    def __post_init__(self) -> None:
        """Check the bits."""
        if self.bits not in _CACHE_BITS:
            raise RecipeError(f"a key/value cache of {self.bits} bits: 8 and 4 are possible, as +kv8 and +kv4.")

    @property
    def symmetric(self) -> bool:
        """Whether zero is the middle of the grid."""
        return self.bits == 8  # noqa: PLR2004 - see `bits`

    def vector_bytes(self, size: int) -> int:
        """Return the bytes of one token's keys, or values, of one head of `size` channels: payload and scales."""
        return -(-size * self.bits // 8) + _GRID_BYTES

    def to_dict(self) -> Json:
        """Return plain values for the report."""
        return {"bits": self.bits, "granularity": "per_token_head", "symmetric": self.symmetric}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPlan:
    """On what static activations are observed: the model reads each text and continues it."""

    samples: int = 128
    characters: int = 512
    """Every text is cut to this length."""
    new_tokens: int = 32
    """Generated after every text and observed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRule:
    """A different scheme for some layers."""

    pattern: str
    """As in `Recipe.kept`."""
    weights: WeightScheme
    activations: ActivationScheme | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named way to quantize a model, or to leave it as it is."""

    name: str
    summary: str
    """One line for `--qeval-list recipes` and the report."""
    dtype: Dtype = "checkpoint"
    weights: WeightScheme | None = None
    """None leaves the weights in floating point."""
    activations: ActivationScheme | None = None
    """None leaves the activations in floating point."""
    kept: tuple[str, ...] = ("lm_head",)
    """Linear layers that stay in floating point: `fnmatch` patterns of module names, a bare name also matching
    the last component of a dotted one (`lm_head` keeps `model.lm_head`)."""
    rules: tuple[LayerRule, ...] = ()
    """Different schemes for some layers; the first matching rule applies, and `kept` takes precedence over all."""
    calibration: CalibrationPlan | None = None
    """How static activations are calibrated; None if there are none."""
    cache: CacheScheme | None = None
    """None leaves the key/value cache in the type of the activations."""
    quantizer: str = ""
    """The registered quantizer that applies the recipe; empty for this package's own schemes above."""
    config: str = ""
    """The quantizer's configuration, such as `Int8WeightOnlyConfig`."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.activations and not self.weights:
            raise RecipeError(f"recipe {self.name!r}: activations are quantized together with weights, not alone.")
        if self.needs_calibration != (self.calibration is not None) and not self.quantizer:
            raise RecipeError(f"recipe {self.name!r}: static activations need calibration, and nothing else does.")

    @property
    def quantizes(self) -> bool:
        """Whether any weight is rounded."""
        return self.weights is not None or bool(self.rules) or bool(self.quantizer)

    @property
    def is_own_scheme(self) -> bool:
        """Whether this package rounds the weights, and no other quantizer."""
        return self.quantizes and not self.quantizer

    @property
    def has_sensitivity(self) -> bool:
        """Whether its blocks can be ranked: they are by their weights alone."""
        return self.is_own_scheme and self.cache is None

    @property
    def needs_calibration(self) -> bool:
        """Whether any layer has static activations."""
        schemes = (self.activations, *(rule.activations for rule in self.rules))
        return any(scheme is not None and not scheme.dynamic for scheme in schemes)

    @property
    def rounds_activations(self) -> bool:
        """Whether any layer has quantized inputs, static or dynamic."""
        return self.activations is not None or any(rule.activations for rule in self.rules)

    @property
    def scheme(self) -> str:
        """The short form of the literature, such as `W8A8 KV8`; `A16` means floating-point activations."""
        return self.with_cache(self._model_scheme)

    def with_cache(self, scheme: str) -> str:
        """Add the bits of the cache, if it is quantized, to the scheme of the weights; alone they are `KV8`."""
        if self.cache is None:
            return scheme
        return f"KV{self.cache.bits}" if scheme == _UNTOUCHED else f"{scheme} KV{self.cache.bits}"

    @property
    def _model_scheme(self) -> str:
        if self.quantizer:
            return self.config
        if self.weights is None and not self.rules:
            return {"float32": "W32A32", "bfloat16": "W16A16", "checkpoint": _UNTOUCHED}[self.dtype]
        activation_bits = self.activations.bits if self.activations else 16
        base = f"W{self.weights.bits}A{activation_bits}" if self.weights else "W16A16"
        return base + (" mixed" if self.rules else "")

    def to_dict(self) -> Json:
        """Return the recipe's entry in the report, in plain values; its key there is the name."""
        return {
            "summary": self.summary,
            "scheme": self.scheme,
            "dtype": self.dtype,
            "weights": asdict(self.weights) if self.weights else None,
            "activations": asdict(self.activations) if self.activations else None,
            "kept": list(self.kept) if self.quantizes else [],
            "cache": self.cache.to_dict() if self.cache else None,
        }


def _check_percentile(clip: ClipMethod, percentile: float | None) -> None:
    if (clip == "percentile") != (percentile is not None):
        raise RecipeError("a percentile belongs to the clip method percentile, and to no other.")
    if percentile is not None and not 50 < percentile <= 100:  # noqa: PLR2004 - below, most values would be clipped
        raise RecipeError(f"a percentile of {percentile:g}: above 50 and at most 100 are possible.")
