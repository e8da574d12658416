"""Integer matrix products: int8 × int8, accumulated exactly, scaled per output channel.

`OneDnnKernel` is the fastest one on CPUs with VNNI or AMX, at every number of rows. `IntMmKernel` runs on all devices.
Without VNNI both saturate on a CPU, and `FloatKernel` is used. `benchmarks/linear.py` measures them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch

_EXACT_COLUMNS = 1024
"""Products of 8-bit integers whose sum float32 represents exactly: 1024 * 128 * 127 < 2^24."""


class Int8Kernel(Protocol):
    """A quantized weight `[out_features, in_features]` in the layout of its kernel."""

    nbytes: int
    """Bytes of the packed weight and its scales, padding included."""

    def product(self, values: torch.Tensor) -> torch.Tensor:
        """Return float32 `(values @ weight.T) * weight_scales` `[rows, out_features]` of int8 `[rows, in_features]`.

        The sum over `in_features` is an exact int32. There must be at least one row.
        """
        ...


class OneDnnKernel:
    """The product of oneDNN on a prepacked weight, which applies the channel scales too."""

    def __init__(self, values: torch.Tensor, scales: torch.Tensor) -> None:
        """Pack int8 `values` `[out, in]` and float32 `scales` `[out, 1]`."""
        self._packed = torch.ops.onednn.qlinear_prepack(values, None)
        self._scales = scales.flatten().contiguous()
        self._zeros = torch.zeros(1, dtype=torch.int64)
        self.nbytes = int(torch.ops.mkldnn._nbytes(self._packed)) + self._scales.nbytes  # noqa: SLF001 - no public function

    def product(self, values: torch.Tensor) -> torch.Tensor:
        """See `Int8Kernel.product`.

        The operator gets the same numbers as uint8 with zero point 128, for which the weight is packed. int8 rows fall
        back to a reference loop, 20 times slower, if a layer is too small for AMX (128 × 896, one row).
        """
        return self.product_of_shifted(values.view(torch.uint8).bitwise_xor(128))

    def product_of_shifted(self, values: torch.Tensor) -> torch.Tensor:
        """Do the same with uint8 `values + 128`."""
        product: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            values, 1.0, 128, self._packed, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return product


class IntMmKernel:
    """`torch._int_mm`: slower than oneDNN on a CPU, but available on every device.

    CUDA wants more than 16 rows and both sides of the weight divisible by 8 (the checks of `_int_mm_out_cuda`): the
    weight is padded with zeros once, the rows at every call.
    """

    def __init__(self, values: torch.Tensor, scales: torch.Tensor) -> None:
        """Keep int8 `values` `[out, in]` and float32 `scales` `[out, 1]`, on their own device."""
        self._out_features = values.shape[0]
        self._values = _padded(values, rows=-values.shape[0] % 8)
        self._scales = scales.flatten().contiguous()
        self.nbytes = self._values.nbytes + self._scales.nbytes

    def product(self, values: torch.Tensor) -> torch.Tensor:
        """See `Int8Kernel.product`."""
        padded = _padded(values, rows=max(0, 17 - values.shape[0]))
        product = torch._int_mm(padded, self._values.t())  # noqa: SLF001 - no public name
        return product[: values.shape[0], : self._out_features].float().mul_(self._scales)


class FloatKernel:
    """The same sums in float32 and float64, which are exact but slow, for CPUs on which the other kernels saturate."""

    def __init__(self, values: torch.Tensor, scales: torch.Tensor) -> None:
        """Keep int8 `values` `[out, in]` and float32 `scales` `[out, 1]`."""
        self._values = values
        self._scales = scales.flatten().contiguous()
        self.nbytes = self._values.nbytes + self._scales.nbytes

    def product(self, values: torch.Tensor) -> torch.Tensor:
        """See `Int8Kernel.product`."""
        total = torch.zeros(values.shape[0], self._values.shape[0], dtype=torch.float64)
        parts = zip(*(torch.split(matrix, _EXACT_COLUMNS, 1) for matrix in (values, self._values)), strict=True)
        for rows, weight in parts:
            total += rows.float() @ weight.float().t()
        return total.float().mul_(self._scales)


def _padded(values: torch.Tensor, *, rows: int) -> torch.Tensor:
    """Append `rows` rows of zeros, and columns of zeros up to a multiple of 8."""
    columns = -values.shape[1] % 8
    return torch.nn.functional.pad(values, (0, columns, 0, rows)) if rows or columns else values


@cache
def onednn_is_exact() -> bool:
    """Whether this CPU and this torch compute the product of `OneDnnKernel` exactly; tested once.

    The operator is private to torch, and without VNNI oneDNN adds neighbouring products in int16, which saturates.
    """
    return _is_exact(OneDnnKernel)


@cache
def int_mm_is_exact() -> bool:
    """Whether this CPU and this torch compute `torch._int_mm` exactly; without VNNI it saturates too (torch 2.13)."""
    return _is_exact(IntMmKernel)


def _is_exact(make: Callable[[torch.Tensor, torch.Tensor], Int8Kernel]) -> bool:
    """Test a kernel on the largest values, which tells more than torch's version and the processor's name."""
    values = torch.tensor([[127, 127], [-127, -127], [127, -127]], dtype=torch.int8).repeat(1, 32)
    scales = torch.tensor([[1.0], [0.5]])
    try:
        product = make(values[:2], scales).product(values.clone())
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(product, (values.long() @ values[:2].long().t()) * scales.t())


def kernel_for(values: torch.Tensor, scales: torch.Tensor) -> Int8Kernel:
    """Pack a quantized weight for the fastest exact kernel of its device."""
    if values.device.type != "cpu":
        return IntMmKernel(values, scales)
    if onednn_is_exact():
        return OneDnnKernel(values, scales)
    return IntMmKernel(values, scales) if int_mm_is_exact() else FloatKernel(values, scales)
