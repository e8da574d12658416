"""Linear layers computed in int8: integer weights, integer activations, an int32 sum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pytest_qeval.quantize.kernels.activations import ActivationQuantizer
from pytest_qeval.quantize.kernels.grid import QuantizedRows
from pytest_qeval.quantize.kernels.int8_product import kernel_for
from pytest_qeval.quantize.kernels.weights import QuantizedWeight

__all__ = ["Int8Linear", "Int8Siblings"]

_CHUNK_ELEMENTS = 2**21
"""Elements of the float32 copies before and after the product (8 MB): malloc gets larger ones from the system page by
page every time, and smaller ones mean that the weights are read more often (`benchmarks/linear.py`)."""


class Int8Siblings(nn.Module):
    """Linear layers that are fed the same tensor, multiplied at once when the first of them is called.

    Query, key and value, or gate and up: one quantization of the input and one product instead of two or three. That
    made the former twice as fast, the latter 1.2 to 1.4 times up to 128 rows and no faster at 512 (0.5 B parameters;
    `benchmarks/linear.py`). A layer that is called with another tensor is computed for that one, so that sharing is no
    condition of being right. Not thread-safe, like the key/value cache beside it.
    """

    bias: torch.Tensor | None

    weight_sums: torch.Tensor | None

    def __init__(
        self,
        weights: Sequence[QuantizedWeight],
        biases: Sequence[torch.Tensor | None],
        activations: ActivationQuantizer,
    ) -> None:
        """Pack quantized `weights`, one scale per output feature each; they are not kept."""
        super().__init__()
        self.sizes = tuple(weight.values.shape[0] for weight in weights)
        self.in_features = weights[0].values.shape[1]
        values, scales = torch.cat([w.values for w in weights]), torch.cat([w.scales for w in weights])
        sums = None if activations.scheme.symmetric else values.sum(1, dtype=torch.int32).float().mul_(scales[:, 0])
        self._kernel = kernel_for(values, scales)
        self._activations = activations
        self.register_buffer("weight_sums", sums, persistent=False)
        self.register_buffer("bias", _joined(biases, self.sizes), persistent=False)
        self._source: torch.Tensor | None = None
        self._version = 0
        self._waiting: list[torch.Tensor | None] = []

    @property
    def packed_bytes(self) -> int:
        """Bytes of the packed weights and their scales, which are no buffers; the bias is one."""
        return self._kernel.nbytes

    @property
    def packed_parameters(self) -> int:
        """Weights and biases that are computed here."""
        return sum(self.sizes) * self.in_features + (0 if self.bias is None else self.bias.numel())

    def output(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """Return layer `index`'s output for `x` `[..., in_features]`, in the dtype of `x`."""
        if self._source is not x or self._version != _version(x) or self._waiting[index] is None:
            self._waiting = [*self._multiply(x)]
            self._source, self._version = x, _version(x)
        out, self._waiting[index] = self._waiting[index], None
        if not any(waiting is not None for waiting in self._waiting):
            self._source = None
        return out  # type: ignore[return-value] # just computed where it was None

    def _multiply(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Compute every layer's output."""
        rows = x.detach().reshape(-1, self.in_features)
        if rows.numel() == 0:
            return [rows.new_zeros(*x.shape[:-1], size) for size in self.sizes]
        quantize = self._activations.prepare(rows)
        n_rows = max(1, _CHUNK_ELEMENTS // max(self.in_features, sum(self.sizes)))
        if rows.shape[0] <= n_rows:  # every call counts where there is one row
            outs = [part.to(x.dtype).contiguous() for part in self._parts(quantize(rows))]
        else:
            outs = [rows.new_empty(rows.shape[0], size) for size in self.sizes]
            for start in range(0, rows.shape[0], n_rows):
                chunk = slice(start, start + n_rows)
                for out, part in zip(outs, self._parts(quantize(rows[chunk])), strict=True):
                    out[chunk].copy_(part)
        return [out.view(*x.shape[:-1], out.shape[-1]) for out in outs]

    def _parts(self, rows: QuantizedRows) -> Sequence[torch.Tensor]:
        """Compute every layer's float32 output for some rows."""
        product = self._kernel.product(rows.values)
        if rows.offsets is not None and self.weight_sums is not None:  # Σ (x - z) w = Σ x w - z Σ w
            product = product.addcmul_(rows.offsets, self.weight_sums, value=-1.0)
        product = product.mul_(rows.scales)
        if self.bias is not None:
            product.add_(self.bias)
        return product.split_with_sizes(self.sizes, -1) if len(self.sizes) > 1 else (product,)


class Int8Linear(nn.Module):
    """`nn.Linear` in real int8 arithmetic, for inference.

    y = ((x_int8 - zero_point) @ w_int8ᵀ) · scale_channel · scale_row + bias, with an int32 sum and float32 scales.
    Where every row has its own scale (per_token), a token's output does not depend on what else is in the batch, and a
    row with NaN or infinity gives a row that is not finite.
    """

    weight = None
    """There is none in floating point: T5 would cast to its dtype, which `forward` does by itself."""

    def __init__(self, siblings: Int8Siblings, index: int, dtype: torch.dtype | None = None) -> None:
        """Be layer `index` of `siblings`, with outputs in `dtype`, or in that of the inputs."""
        super().__init__()
        self._dtype = dtype
        self.siblings = siblings
        self.index = index
        self.in_features, self.out_features = siblings.in_features, siblings.sizes[index]

    @classmethod
    def together(
        cls,
        weights: Sequence[QuantizedWeight],
        biases: Sequence[torch.Tensor | None],
        activations: ActivationQuantizer,
        dtype: torch.dtype | None = None,
    ) -> list[Int8Linear]:
        """Make layers that are usually fed the same tensor, or a single one, with outputs in `dtype`."""
        siblings = Int8Siblings(weights, biases, activations)
        return [cls(siblings, index, dtype) for index in range(len(weights))]

    @property
    def weight_bytes(self) -> int:
        """This layer's share of the siblings' packed bytes; the shares add up."""
        start, total = sum(self.siblings.sizes[: self.index]), sum(self.siblings.sizes)
        before, after = (self.siblings.packed_bytes * end // total for end in (start, start + self.out_features))
        return after - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `[..., in_features]` to `[..., out_features]` in the layer's own dtype."""
        same = self._dtype is None or x.dtype == self._dtype
        return self.siblings.output(x if same else x.to(self._dtype), self.index)

    def extra_repr(self) -> str:
        """Say the shape, as `nn.Linear` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


def _joined(biases: Sequence[torch.Tensor | None], sizes: Sequence[int]) -> torch.Tensor | None:
    """Join biases to one float32 vector, with zeros for a layer that has none; None when no layer has one."""
    given = [bias for bias in biases if bias is not None]
    if not given:
        return None
    zeros = (given[0].new_zeros(size) for size in sizes)
    pairs = zip(biases, zeros, strict=True)
    return torch.cat([(zero if bias is None else bias.detach()).float() for bias, zero in pairs])


def _version(x: torch.Tensor) -> int:
    """Count a tensor's changes in place; inference tensors do not count them, and models do not make them."""
    return 0 if x.is_inference() else x._version  # noqa: SLF001 - the documented way, without a public name
