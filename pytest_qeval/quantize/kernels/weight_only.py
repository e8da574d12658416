"""Linear layers with packed weights of 8 or 4 bits and floating-point inputs.

A product of a few rows spends its time reading weights, and torch's CPU kernels for packed weights are faster. They do
not use the matrix units that bfloat16 has: for many rows the weights are unpacked and multiplied as floats, which is
slower than an unquantized layer (`benchmarks/linear.py` measures the thresholds).

The two ways add in different orders, so the number of rows must not choose between them: a completion would depend on
the batch. What chooses is whether each sequence brings many tokens, in a prefill, or few.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch
from torch import nn

from pytest_qeval.quantize.kernels.row_blocks import is_prefill, multiply
from pytest_qeval.quantize.kernels.weights import QuantizedWeight

_INT8_COLUMNS = 16
"""torch's int8 kernel reads a multiple of so many columns, beyond the end of a row if need be."""
_ALIGNMENT = 64
"""Bytes; torch's kernels may expect their rows at a multiple of this address."""
_INT4_GROUPS = (256, 128, 64, 32)
"""Group sizes of torch's int4 kernel."""
_INT4_BLOCK = 64
"""Output features in one block of torch's int4 layout for AVX-512."""


class WeightOnlyKernel(Protocol):
    """A quantized weight `[out_features, in_features]` in the layout of its kernel."""

    nbytes: int
    """Bytes of the packed weight and its scales."""

    def product(self, rows: torch.Tensor, *, prefill: bool = False) -> torch.Tensor:
        """Return `rows @ weight.T`, `[rows, out_features]`, in the dtype of `rows` `[rows, in_features]`."""
        ...


class Int8PackKernel:
    """8 bits, one scale per output feature: `torch._weight_int8pack_mm`, or a cast and a product."""

    def __init__(self, weight: QuantizedWeight) -> None:
        """Take a weight with one scale per output feature and a multiple of 16 columns."""
        self._values = weight.values.contiguous()
        self._scales = weight.scales.flatten().contiguous()
        self.nbytes = self._values.nbytes + self._scales.nbytes

    def product(self, rows: torch.Tensor, *, prefill: bool = False) -> torch.Tensor:
        """See `WeightOnlyKernel.product`; scales come last, because the kernel would round them to the rows' dtype.

        The kernel is for a single row, a stream: it is faster for up to 8 rows, and a batch has two at least.
        """
        if rows.shape[0] == 1:
            ones = torch.ones_like(self._scales, dtype=rows.dtype)
            product = torch._weight_int8pack_mm(rows, self._values, ones)  # noqa: SLF001 - no public name
        else:
            product = multiply(rows, self._values.to(rows.dtype), None, prefill=prefill)
        return product.mul_(self._scales)


class Int4Kernel:
    """4 bits in groups: `torch.ops.aten._weight_int4pack_mm_for_cpu`, or unpacking and a product."""

    def __init__(self, weight: QuantizedWeight, dtype: torch.dtype) -> None:
        """Pack a weight of 4 bits whose group size `int4_group` accepts, for rows of `dtype`."""
        features, columns = weight.values.shape
        group = int4_group(weight)
        assert group is not None  # noqa: S101 - checked by the caller
        shifted = weight.values.to(torch.int32).add_(8)
        self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(shifted, 1)  # noqa: SLF001
        scales = weight.scales.to(dtype).repeat_interleave(weight.group_size // group, dim=1)
        self._scales_and_zeros = torch.zeros(columns // group, features, 2, dtype=dtype)
        self._scales_and_zeros[..., 0] = scales.t()
        self._group = group
        self.nbytes = self._packed.nbytes + self._scales_and_zeros.nbytes

    def product(self, rows: torch.Tensor, *, prefill: bool = False) -> torch.Tensor:
        """See `WeightOnlyKernel.product`; the kernel is faster for up to about 96 rows."""
        if not prefill:
            product: torch.Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(  # noqa: SLF001
                rows, self._packed, self._group, self._scales_and_zeros
            )
            return product
        return multiply(rows, self.unpack(rows.dtype).t(), None, prefill=True)

    def unpack(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the weight as floats, `[in_features, out_features]`.

        A block of 64 output features is stored column by column, 32 bytes each: the lower halves of the bytes hold the
        first 32 features, the upper halves the others.
        """
        groups, features, _ = self._scales_and_zeros.shape
        blocks, columns = features // _INT4_BLOCK, groups * self._group
        packed = self._packed.view(blocks, columns, _INT4_BLOCK // 2).transpose(0, 1)
        weight = torch.empty(columns, blocks, 2, _INT4_BLOCK // 2, dtype=dtype)
        weight[:, :, 0].copy_(packed & 15)
        weight[:, :, 1].copy_(packed >> 4)
        scales = self._scales_and_zeros[..., 0].to(dtype).unsqueeze(1)
        weight.view(groups, self._group, features).sub_(8).mul_(scales)
        return weight.view(columns, features)


class WeightOnlyLinear(nn.Module):
    """`nn.Linear` with packed weights and floating-point inputs, products and outputs, for inference."""

    weight = None
    """No floating-point weight: T5 would cast its input to the weight's dtype, and `forward` casts by itself."""
    bias: torch.Tensor | None

    def __init__(
        self,
        weight: QuantizedWeight,
        kernel: WeightOnlyKernel,
        bias: torch.Tensor | None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Compute in `dtype`, or in the dtype of the inputs, with a `kernel` made of `weight`, which is not kept."""
        super().__init__()
        self._dtype = dtype
        self.out_features, self.in_features = weight.values.shape
        self._kernel = kernel
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the packed weight and its scales, which are not buffers; the bias is one."""
        return self._kernel.nbytes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `[..., in_features]` to `[..., out_features]` in the layer's own dtype."""
        x = x if self._dtype is None else x.to(self._dtype)
        if x.numel() == 0:
            return x.new_zeros(*x.shape[:-1], self.out_features)
        rows = x.reshape(-1, self.in_features).contiguous()
        if rows.data_ptr() % _ALIGNMENT:
            rows = rows.clone()
        out = self._kernel.product(rows, prefill=is_prefill(x))
        if self.bias is not None:
            out.add_(self.bias)
        return out.view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Return the shape, as `nn.Linear` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


def weight_only_kernel(weight: QuantizedWeight, *, bits: int, dtype: torch.dtype) -> WeightOnlyKernel | None:
    """Pack a weight for torch's kernel; None if there is no kernel for its shape, bits, dtype, device or this CPU."""
    if weight.values.device.type != "cpu" or dtype == torch.float16:
        return None  # sums of 8-bit products overflow half precision
    columns = weight.values.shape[1]
    if bits == 8 and weight.scales.shape[1] == 1 and columns % _INT8_COLUMNS == 0 and int8_pack_works(dtype):  # noqa: PLR2004 - the bits of int8
        return Int8PackKernel(weight)
    if bits == 4 and int4_group(weight) is not None and int4_pack_works(dtype):  # noqa: PLR2004 - the bits of int4
        return Int4Kernel(weight, dtype)
    return None


def int4_group(weight: QuantizedWeight) -> int | None:
    """Return the largest group size with which the int4 kernel can represent a weight; None if there is none."""
    features, columns = weight.values.shape
    if features % _INT4_BLOCK or columns % weight.group_size:
        return None
    return next((group for group in _INT4_GROUPS if weight.group_size % group == 0), None)


@cache
def int8_pack_works(dtype: torch.dtype) -> bool:
    """Whether this torch multiplies int8 weights with rows of `dtype`; tested once, because the kernel is private."""
    weight = QuantizedWeight(torch.tensor([[127, -1], [3, 0]], dtype=torch.int8).repeat(16, 32), torch.ones(32, 1), 64)
    return _agrees(Int8PackKernel, weight, dtype)


@cache
def int4_pack_works(dtype: torch.dtype) -> bool:
    """Whether this CPU and this torch pack 4 bits as `unpack` reads them; tested once, the layout is private."""
    values = (torch.arange(2 * _INT4_BLOCK * 64) * 7 % 15 - 7).view(2 * _INT4_BLOCK, 64).to(torch.int8)
    scales = 2.0 ** torch.arange(2 * 2 * _INT4_BLOCK).remainder(5).view(2 * _INT4_BLOCK, 2)
    weight = QuantizedWeight(values, scales, 32)
    try:
        unpacked = Int4Kernel(weight, dtype).unpack(dtype)
    except (AttributeError, RuntimeError):
        return False
    exact = torch.equal(unpacked.t(), weight.dequantize(dtype))
    return exact and _agrees(lambda given: Int4Kernel(given, dtype), weight, dtype)


def _agrees(make: Callable[[QuantizedWeight], WeightOnlyKernel], weight: QuantizedWeight, dtype: torch.dtype) -> bool:
    """Test a kernel on rows with which every product and sum is exact in any dtype: several, and one alone."""
    rows = torch.eye(2, weight.values.shape[1], dtype=dtype)
    exact = rows @ weight.dequantize(dtype).t()
    try:
        kernel = make(weight)
        return all(torch.equal(kernel.product(rows[:n], prefill=False), exact[:n]) for n in (1, len(rows)))
    except (AttributeError, RuntimeError):
        return False
