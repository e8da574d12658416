"""How large a model is: bytes, parameters and bits per weight, counted on the model itself.

Needs no torch: it asks the model for what every `torch.nn.Module` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Footprint", "Module", "measure_footprint"]


class Module(Protocol):
    """The part of `torch.nn.Module` that is needed here."""

    def parameters(self) -> Iterable[Any]:
        """Iterate over the parameters, each once."""
        ...

    def buffers(self) -> Iterable[Any]:
        """Iterate over the buffers, each once."""
        ...

    def modules(self) -> Iterable[Any]:
        """Iterate over the module and all that hang below it, each once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Size of a model's weights."""

    model_bytes: int
    """Parameters, buffers and packed weights, scales included; tensors that share memory count once."""
    parameters: int
    """Weights and biases before quantization, shared ones counted once."""

    @property
    def bits_per_weight(self) -> float:
        """All bytes over all parameters: what is kept in full precision weighs in, scales too. 0.0 without any."""
        return 8 * self.model_bytes / self.parameters if self.parameters else 0.0


def measure_footprint(model: Module, *, simulated_savings_bytes: int = 0) -> Footprint:
    """Count a model's bytes and parameters.

    Modules that hold more than their parameters and buffers, such as weights in a kernel's own layout, say so by two
    integers, `packed_bytes` and `packed_parameters` (`FusedInt8Linear`). Tensors that are made of other
    tensors, such as torchao's, count as what they are made of.

    Args:
        model: Any `torch.nn.Module`.
        simulated_savings_bytes: What packed storage would save where quantization is simulated
            (`Quantization.simulated_savings_bytes`); the result is then simulated too and must be called so.
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
    """Return the tensors that hold a tensor's values, by the protocol that torch has for subclasses; mostly itself."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    names, _ = tensor.__tensor_flatten__()
    for name in names:
        yield from _parts(getattr(tensor, name))


def _distinct(tensors: Iterable[Any]) -> list[Any]:
    """Drop tensors that are another view of all of an earlier one's memory, such as tied embeddings."""
    return list({(tensor.data_ptr() or id(tensor), tensor.nbytes): tensor for tensor in tensors}.values())
