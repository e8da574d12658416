"""The result of quantizing a model, one record per linear layer, and the interface of other packages' quantizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_qeval.errors import counted
from pytest_qeval.quantize.recipe import Recipe

_LITTLE = 0.5
"""Share below which a verdict about a recipe is mostly about what the recipe has left alone."""

ExecutionKind = Literal["native", "simulated", "full precision"]
"""native: a kernel computes with the integers. simulated: rounded values, computed in floating point, so that speed and
size are not those of the scheme. full precision: nothing was rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """The result for one linear layer."""

    name: str
    shape: tuple[int, int]
    """(out_features, in_features)"""
    bits: int
    """Bits per weight without scales; those of the floating-point type if the layer is kept."""
    kept: bool = False
    bytes_before: int
    """Bytes of the weight, without the bias."""
    bytes_after: int
    """Bytes of the weight and its scales in memory; if execution is simulated, those of packed storage."""
    granularity: str = ""
    """`per_tensor`, `per_channel`, `per_group(128)`; empty if the layer is kept."""
    execution: ExecutionKind = "full precision"
    note: str = ""
    """Why the layer is not faster, if it has no fast kernel; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """The result of `quantize_`."""

    layers: tuple[LayerRecord, ...]
    """Every linear layer once, including kept ones, in the model's order; empty if nothing was quantized."""
    parameters: int
    """Parameters of the whole model before quantization, shared ones counted once."""
    duration_s: float = 0.0
    embeddings: int = 0
    """Parameters of embeddings in floating point, which hardly any recipe quantizes."""

    @property
    def execution(self) -> ExecutionKind:
        """Simulated if any layer is, because the model's speed is then not the recipe's."""
        kinds = {layer.execution for layer in self.layers if not layer.kept}
        return "simulated" if "simulated" in kinds else "native" if kinds else "full precision"

    @property
    def notes(self) -> tuple[str, ...]:
        """A warning where little of the model is quantized, and the layers' notes, each once."""
        notes = dict.fromkeys(layer.note for layer in self.layers if layer.note)
        return (*([self._little_note] if 0 < self.share_outside_embeddings < _LITTLE else []), *notes)

    @property
    def _little_note(self) -> str:
        kept = sorted(
            (layer for layer in self.layers if layer.kept), key=lambda layer: -layer.shape[0] * layer.shape[1]
        )
        first = f", the largest {kept[0].name}" if kept else ""
        return (
            f"only {self.share_outside_embeddings:.0%} of the parameters outside embeddings are quantized: the verdict "
            f"is mostly about what stayed in floating point ({counted(len(kept), 'layer')} kept{first})"
        )

    @property
    def quantized_layers(self) -> int:
        """Number of quantized layers."""
        return sum(not layer.kept for layer in self.layers)

    @property
    def quantized_share(self) -> float:
        """Share of the model's parameters that were quantized, 0 to 1."""
        quantized = sum(layer.shape[0] * layer.shape[1] for layer in self.layers if not layer.kept)
        return quantized / self.parameters if self.parameters else 0.0

    @property
    def share_outside_embeddings(self) -> float:
        """Share of the parameters outside embeddings in floating point that were quantized, 0 to 1."""
        outside = self.parameters - self.embeddings
        return self.quantized_share * self.parameters / outside if outside else 0.0

    @property
    def bytes_before(self) -> int:
        """Bytes of the quantized layers' weights in floating point."""
        return sum(layer.bytes_before for layer in self.layers if not layer.kept)

    @property
    def bytes_after(self) -> int:
        """Bytes of the quantized layers' weights and scales (if simulated, in packed storage)."""
        return sum(layer.bytes_after for layer in self.layers if not layer.kept)

    @property
    def simulated_savings_bytes(self) -> int:
        """Bytes that packed storage would save for layers with simulated execution."""
        return sum(layer.bytes_before - layer.bytes_after for layer in self.layers if layer.execution == "simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """A registered quantizer: `torchao` in `--qeval-recipe torchao:Int8WeightOnlyConfig`."""

    name: str
    summary: str
    """One line for `--qeval-list quantizers`."""
    recipe: Callable[[str], Recipe]
    """Turn the text behind the colon into a recipe, without importing torch.

    Raises `RecipeError` for a config that does not exist, `MissingPackageError` if the package is not installed.
    """
    apply: Callable[[Any, Recipe, Callable[[], None]], Sequence[LayerRecord]]
    """Quantize a `torch.nn.Module` in place, and return one record per linear layer, in the model's order.

    Arguments: model, recipe, and a function that runs the model over the calibration texts, for recipes with a
    calibration plan. Raises `RecipeError` if the recipe does not fit the model.
    """
