"""Turn the experts of a mixture, which transformers holds as one tensor per layer, into linear layers.

Everything that finds, quantizes, calibrates and exports linear layers then works on experts as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MethodType
from typing import Any

import torch
from torch import nn

_MATRICES = 3
"""Dimensions of a tensor of matrices: [experts, out_features, in_features], or transposed."""


def unpack_experts_(model: nn.Module) -> None:
    """Replace the experts' tensors by linear layers of the same names and a number, which share their memory.

    `experts.down_proj` becomes the list `experts.down_proj.0`, `experts.down_proj.1`, … Experts that do not follow
    transformers' interface for them (`use_experts_implementation`) stay as they are; so do those unpacked before.
    """
    for module in model.modules():
        names = _projections(module)
        for name in names:
            _unpack(module, name)
        if names:
            module.forward = MethodType(_forward, module)


def stacked_experts(model: nn.Module) -> dict[str, bool]:
    """Return the names of the tensors that have been unpacked, each with whether it is transposed."""
    return {
        f"{path}.{name}": bool(module.is_transposed)
        for path, module in model.named_modules()
        if _is_mixture(module)
        for name in ("gate_up_proj", "up_proj", "down_proj")
        if isinstance(getattr(module, name, None), nn.ModuleList)
    }


def stack_experts(state: Mapping[str, torch.Tensor], stacked: Mapping[str, bool]) -> dict[str, torch.Tensor]:
    """Join the experts of a state dict, as far as it has them, into the tensors that the model of transformers has."""
    joined = dict(state)
    for name, transposed in stacked.items():
        if weights := list(_pop_all(joined, name, "weight")):
            joined[name] = torch.stack([weight.t() for weight in weights] if transposed else weights)
        if biases := list(_pop_all(joined, name, "bias")):
            joined[f"{name}_bias"] = torch.stack(biases)
    return joined


def _pop_all(state: dict[str, torch.Tensor], name: str, leaf: str) -> Iterator[torch.Tensor]:
    index = 0
    while (key := f"{name}.{index}.{leaf}") in state:
        yield state.pop(key)
        index += 1


def _is_mixture(module: Any) -> bool:
    return all(hasattr(module, name) for name in ("num_experts", "is_transposed", "_apply_gate", "down_proj"))


def _projections(module: Any) -> Sequence[str]:
    """Return the names of a module's tensors of matrices; empty for everything but experts in transformers' form."""
    if not _is_mixture(module):
        return ()
    names = ("gate_up_proj" if getattr(module, "has_gate", True) else "up_proj", "down_proj")
    tensors = [getattr(module, name, None) for name in names]
    whole = all(isinstance(one, nn.Parameter) and one.ndim == _MATRICES and one.itemsize > 1 for one in tensors)
    return names if whole else ()


def _unpack(module: Any, name: str) -> None:
    """Replace a tensor, and its bias, by linear layers."""
    weights = getattr(module, name).detach()
    biases = getattr(module, f"{name}_bias").detach() if getattr(module, "has_bias", False) else [None] * len(weights)
    views = (weight.t() if module.is_transposed else weight for weight in weights)
    layers = [_linear(weight, bias) for weight, bias in zip(views, biases, strict=True)]
    delattr(module, name)
    if hasattr(module, f"{name}_bias"):
        delattr(module, f"{name}_bias")
    setattr(module, name, nn.ModuleList(layers))


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer.eval()


def _forward(
    self: Any, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
) -> torch.Tensor:
    """Compute what a mixture of transformers does, one expert after the other.

    Args:
        self: The module of experts.
        hidden_states: [tokens, hidden_size].
        top_k_index: Experts of every token, [tokens, k].
        top_k_weights: Their weights, [tokens, k].

    Returns:
        [tokens, hidden_size], in the dtype of `hidden_states`.
    """
    tokens, k = top_k_index.shape
    counts = torch.bincount(top_k_index.flatten(), minlength=self.num_experts).tolist()
    places = torch.split(torch.argsort(top_k_index.flatten(), stable=True), counts)
    first = self.gate_up_proj if getattr(self, "has_gate", True) else self.up_proj
    activation = self._apply_gate if getattr(self, "has_gate", True) else self.act_fn
    outs = hidden_states.new_empty(tokens * k, hidden_states.shape[-1])
    for rows, up, down in zip(places, first, self.down_proj, strict=True):
        if len(rows):
            outs[rows] = down(activation(up(hidden_states[rows // k]))).to(outs.dtype)
    if getattr(self, "has_post_expert_norm", False):
        outs = self.post_expert_norm(outs)
    weighted = outs * top_k_weights.reshape(-1, 1)
    return weighted.view(tokens, k, -1).sum(dim=1).to(hidden_states.dtype)
