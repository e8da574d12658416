"""Simulated quantization for schemes without a kernel: rounded values, multiplied in floating point.

Completions are those of the quantized model, so accuracy is valid; speed and size are not.
"""

from __future__ import annotations

import torch
from torch import nn

from pytest_qeval.quantize.kernels.activations import ActivationQuantizer
from pytest_qeval.quantize.kernels.row_blocks import multiply


class SimulatedLinear(nn.Module):
    """`nn.Linear` with a rounded weight, whose inputs are rounded at every call."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, activations: ActivationQuantizer) -> None:
        """Take a rounded `weight` `[out_features, in_features]` in the dtype of the product."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self._activations = activations

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `[..., in_features]` to `[..., out_features]` in the same dtype."""
        rows = x.reshape(-1, self.in_features)
        if rows.numel():
            x = self._activations.prepare(rows)(rows).dequantize().to(x.dtype).view(x.shape)
        return multiply(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the shape, as `nn.Linear` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"
