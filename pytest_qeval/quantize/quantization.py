"""What was done to a model: one record per linear layer, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ExecutionKind", "LayerRecord", "Quantization"]

ExecutionKind = Literal["native", "simulated", "full precision"]
"""native: a kernel computes on the integers. simulated: rounded values, floating-point arithmetic: speed and size are
not those of the scheme. full precision: nothing was rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """What became of one linear layer."""

    name: str
    shape: tuple[int, int]
    """(out_features, in_features)"""
    bits: int
    """Bits per weight, scales not counted; those of the floating-point type where the layer is kept."""
    kept: bool
    bytes_before: int
    """Of the weight, without the bias."""
    bytes_after: int
    """Of the weight with its scales, as it is held; where execution is simulated, what packed storage would need."""
    granularity: str = ""
    """`per_tensor`, `per_channel`, `per_group(128)`; empty for a layer that is kept."""
    execution: ExecutionKind = "full precision"
    note: str = ""
    """Why there is no speed-up here, for a layer that has no fast kernel; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """What `quantize_` did to a model."""

    layers: tuple[LayerRecord, ...]
    """Every linear layer once, kept ones included, in the model's order; empty when nothing was quantized."""
    parameters: int
    """Of the whole model before quantization, shared ones counted once."""
    duration_s: float

    @property
    def execution(self) -> ExecutionKind:
        """Simulated as soon as one layer is: the model's speed is then not the recipe's."""
        kinds = {layer.execution for layer in self.layers if not layer.kept}
        return "simulated" if "simulated" in kinds else "native" if kinds else "full precision"

    @property
    def notes(self) -> tuple[str, ...]:
        """Why layers are no faster, each reason once."""
        return tuple(dict.fromkeys(layer.note for layer in self.layers if layer.note))

    @property
    def quantized_layers(self) -> int:
        """How many layers were quantized."""
        return sum(not layer.kept for layer in self.layers)

    @property
    def quantized_share(self) -> float:
        """Share of the model's parameters that were quantized, 0 to 1."""
        quantized = sum(layer.shape[0] * layer.shape[1] for layer in self.layers if not layer.kept)
        return quantized / self.parameters if self.parameters else 0.0

    @property
    def bytes_before(self) -> int:
        """Bytes of the quantized layers' weights in floating point."""
        return sum(layer.bytes_before for layer in self.layers if not layer.kept)

    @property
    def bytes_after(self) -> int:
        """Bytes of the quantized layers' weights and scales now (or in packed storage, where simulated)."""
        return sum(layer.bytes_after for layer in self.layers if not layer.kept)

    @property
    def simulated_savings_bytes(self) -> int:
        """Bytes that packed storage would save where execution is only simulated."""
        return sum(layer.bytes_before - layer.bytes_after for layer in self.layers if layer.execution == "simulated")
