"""The bytes of a model in memory. Needs no torch: it uses what every `torch.nn.Module` has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def model_bytes(model: Any) -> int:
    """Return the bytes of a model's parameters, buffers and packed weights, scales included.

    Tensors that share all of their memory, such as tied embeddings, count once. Modules that hold more than parameters
    and buffers, such as weights in a kernel's own layout, say so by an integer `packed_bytes`.
    """
    held = [part for tensor in (*model.parameters(), *model.buffers()) for part in parts_of(tensor)]
    distinct = {(part.data_ptr() or id(part), part.nbytes) for part in held}
    packed = (getattr(module, "packed_bytes", None) or hidden_bytes(module) for module in model.modules())
    return sum(nbytes for _, nbytes in distinct) + sum(packed)


def parts_of(tensor: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors that hold a tensor's values, by torch's protocol for subclasses; mostly the tensor itself."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from parts_of(getattr(tensor, name))


def hidden_bytes(layer: Any) -> int:
    """Return the bytes of a bitsandbytes layer's scales and table of 4-bit codes, which are no parameters; else 0."""
    weight = getattr(layer, "weight", None)
    rows = getattr(weight, "SCB", None)
    if rows is None:  # the first product moves it
        rows = getattr(getattr(layer, "state", None), "SCB", None)
    return _state_bytes(getattr(weight, "quant_state", None)) + (0 if rows is None else int(rows.nbytes))


def _state_bytes(state: Any) -> int:
    """Return the bytes of scales and table, and of the scales of scales if there are any."""
    if state is None:
        return 0
    # some are deleted when the scales of scales are resolved for a CPU's kernel
    parts = [getattr(state, name, None) for name in ("absmax", "code", "offset")]
    return sum(int(part.nbytes) for part in parts if part is not None) + _state_bytes(getattr(state, "state2", None))
