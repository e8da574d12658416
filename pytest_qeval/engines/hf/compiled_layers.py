"""Let a model's normalizations and gated layers run as compiled loops, where these give the same bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pytest_qeval.quantize.kernels.compiled.loops import Loops
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops, lanes_of_sums, numbers_of_all_sizes
from pytest_qeval.quantize.kernels.gated import gated_layer, takes_one_input


def use_compiled_loops(model: nn.Module) -> None:
    """Replace the forward passes of layers whose results stay the same, bit by bit; call it after quantization."""
    loops = compiled_loops()
    if loops is None:
        return
    for module in model.modules():
        if layer := _normalization(module, loops) or gated_layer(module, loops):
            module.forward = layer


class Normalization:
    """The forward pass of a root mean square normalization."""

    def __init__(self, module: Any, loops: Loops, epsilon: float, lanes: int) -> None:
        """Take the module, what it adds to the mean, and how torch adds up; see `Loops.rms_norm`."""
        self._module, self._loops, self._epsilon, self._lanes = module, loops, epsilon, lanes

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the module's output for one input [..., features]; what is not bfloat16 is left to the module."""
        module = self._module
        if len(args) == 1 and not kwargs and _fits(args[0], module.weight):
            return self._loops.rms_norm(args[0], module.weight, self._epsilon, self._lanes)
        return type(module).forward(module, *args, **kwargs)  # type: ignore[no-any-return]


def _normalization(module: Any, loops: Loops) -> Normalization | None:
    """Return how to compute a module; None where it is something else, or the loops do not give its bits."""
    weight = getattr(module, "weight", None)
    if "RMSNorm" not in type(module).__name__ or not isinstance(weight, torch.Tensor) or not takes_one_input(module):
        return None
    names = ("variance_epsilon", "eps")
    epsilon = next((value for name in names if isinstance(value := getattr(module, name, None), float)), None)
    x = numbers_of_all_sizes(weight.numel())
    if epsilon is None or not _fits(x, weight) or not (lanes := lanes_of_sums(weight.numel())):
        return None
    found = Normalization(module, loops, epsilon, lanes)
    try:
        with torch.inference_mode():
            return found if torch.equal(type(module).forward(module, x), found(x)) else None
    except Exception:  # noqa: BLE001 - a module of anyone's may raise anything
        return None


def _fits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    return (
        x.dtype == weight.dtype == torch.bfloat16
        and x.device.type == weight.device.type == "cpu"
        and x.is_contiguous()
        and weight.is_contiguous()
        and weight.dim() == 1
        and 0 < weight.numel() == x.shape[-1]
        and x.numel() > 0
    )
