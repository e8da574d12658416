"""Size of a model in memory: bytes, parameters and bits per weight.

Needs no torch: it uses what every `torch.nn.Module` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Size of a model's weights."""

    model_bytes: int
    """Parameters, buffers and packed weights, scales included; tensors that share memory count once."""
    parameters: int
    """Weights and biases before quantization, shared ones counted once."""

    @property
    def bits_per_weight(self) -> float:
        """All bytes, scales and unquantized layers included, over all parameters; 0.0 without parameters."""
        return 8 * self.model_bytes / self.parameters if self.parameters else 0.0


def measure_footprint(model: Any, *, simulated_savings_bytes: int = 0) -> Footprint:
    """Count a model's bytes and parameters.

    Modules that hold more than their parameters and buffers, such as weights in a kernel's own layout, have two
    integers, `packed_bytes` and `packed_parameters`. Tensors that are made of other tensors, such as torchao's, count
    as those.

    Args:
        model: Any `torch.nn.Module`.
        simulated_savings_bytes: Bytes that packed storage would save where quantization is simulated
            (`Quantization.simulated_savings_bytes`); the result is then simulated too.
    """
    parameters = _distinct(model.parameters())
    packed = [module for module in model.modules() if hasattr(module, "packed_bytes")]
    held = _distinct(part for tensor in (*parameters, *model.buffers()) for part in _parts(tensor))
    return Footprint(
        model_bytes=sum(tensor.nbytes for tensor in held)
        + sum(module.packed_bytes for module in packed)
        - simulated_savings_bytes,
        parameters=sum(tensor.numel() for tensor in parameters) + sum(module.packed_parameters for module in packed),
    )


def _parts(tensor: Any) -> Iterator[Any]:
    """Yield the tensors that hold a tensor's values, by torch's protocol for subclasses; mostly the tensor itself."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    names, _ = tensor.__tensor_flatten__()
    for name in names:
        yield from _parts(getattr(tensor, name))


def _distinct(tensors: Iterable[Any]) -> list[Any]:
    """Drop tensors that share all of an earlier one's memory, such as tied embeddings."""
    return list({(tensor.data_ptr() or id(tensor), tensor.nbytes): tensor for tensor in tensors}.values())
