"""A linear layer computed in int8: weights once per output channel, activations per token as they come."""

from __future__ import annotations

import torch
from torch import nn

from pytest_qeval.quantize.grid import quantize_rows
from pytest_qeval.quantize.kernels import kernel_for

__all__ = ["Int8Linear"]

_CHUNK_ROWS = 256
"""Rows at a time, so that the float32 copies before and after the product (2.5 MB for 128 × 4864) stay in the cache
and in memory that malloc gives again: page faults made 512 rows at once 1.7 times slower (`benchmarks/linear.py`)."""


class Int8Linear(nn.Module):
    """`nn.Linear` in real int8 arithmetic, for inference.

    y = (x_int8 @ w_int8ᵀ) · scale_row · scale_channel + bias, with an int32 sum and float32 scales: W8A8 with
    per-channel weights and dynamic per-token activations, both symmetric. Since every row has its own scale, a token's
    output does not depend on what else is in the batch. A row with NaN or infinity gives a row that is not finite.
    """

    bias: torch.Tensor | None

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """Quantize and pack a floating-point `weight` `[out_features, in_features]`; it is not kept."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._kernel = kernel_for(*quantize_rows(weight))
        self.register_buffer("bias", None if bias is None else bias.detach().float(), persistent=False)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the packed weight and its scales; the bias is a buffer and is not among them."""
        return self._kernel.nbytes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `[..., in_features]` in float32, bfloat16 or float16 to `[..., out_features]` in the same dtype."""
        out = x.new_empty((*x.shape[:-1], self.out_features))
        if out.numel() == 0:
            return out
        rows, out_rows = x.reshape(-1, self.in_features), out.view(-1, self.out_features)
        for rows_chunk, out_chunk in zip(rows.split(_CHUNK_ROWS), out_rows.split(_CHUNK_ROWS), strict=True):
            values, scales = quantize_rows(rows_chunk)
            product = self._kernel.product(values).mul_(scales)
            out_chunk.copy_(product if self.bias is None else product.add_(self.bias))
        return out

    def extra_repr(self) -> str:
        """Say the shape, as `nn.Linear` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
