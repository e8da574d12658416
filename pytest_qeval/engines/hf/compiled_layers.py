"""Let a model's normalizations and gated layers run as compiled loops, where these give the same bits."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from pytest_qeval.quantize.kernels.compiled.loops import Loops
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops, lanes_of_sums
from pytest_qeval.quantize.kernels.gated import gated_layer


def use_compiled_loops(model: nn.Module) -> None:
    """Replace the forward passes of layers whose results stay the same, bit by bit; call it after quantization."""
    loops = compiled_loops()
    if loops is None:
        return
    for module in model.modules():
        epsilon = _epsilon(module)
        if epsilon is not None and (lanes := _norm_lanes(module, loops, epsilon)):
            module.forward = partial(_normalize, module, loops, epsilon, lanes)
        elif layer := gated_layer(module, loops):
            module.forward = layer


def _epsilon(module: Any) -> float | None:
    """Return what a root mean square normalization adds to the mean; None for other modules."""
    weight = getattr(module, "weight", None)
    if "RMSNorm" not in type(module).__name__ or not isinstance(weight, torch.Tensor) or weight.dim() != 1:
        return None
    names = ("variance_epsilon", "eps")
    return next((value for name in names if isinstance(value := getattr(module, name, None), float)), None)


@torch.inference_mode()
def _norm_lanes(module: Any, loops: Loops, epsilon: float) -> int:
    """Return how to add up for a normalization; 0 where the loops do not give its bits."""
    weight, lanes = module.weight, lanes_of_sums(module.weight.numel())
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu" or not lanes:
        return 0
    x = torch.randn(5, weight.numel(), generator=torch.Generator().manual_seed(0)).bfloat16()
    return lanes if torch.equal(module.forward(x), loops.rms_norm(x, weight, epsilon, lanes)) else 0


def _normalize(module: Any, loops: Loops, epsilon: float, lanes: int, x: torch.Tensor) -> torch.Tensor:
    if x.dtype != torch.bfloat16 or x.device.type != "cpu" or not x.is_contiguous():
        return type(module).forward(module, x)  # type: ignore[no-any-return]
    return loops.rms_norm(x, module.weight, epsilon, lanes)
