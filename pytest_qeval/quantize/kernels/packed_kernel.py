"""The compiled products as a kernel of int8 layers, with what comes before and after the sums."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pytest_qeval.quantize.kernels.compiled.products import Products, Rows
from pytest_qeval.quantize.kernels.weights import QuantizedWeight


class PackedKernel:
    """The weights of layers with one input; see `int8_product.Int8Kernel`."""

    def __init__(self, products: Products, weights: Sequence[QuantizedWeight]) -> None:
        """Pack int8 weights with one scale per output feature."""
        self._products = products
        self._weights = products.pack([weight.values for weight in weights])
        self._scales = self._weights.pad([weight.scales.flatten() for weight in weights])
        self.nbytes = self._weights.nbytes + self._scales.nbytes

    def product(self, values: torch.Tensor) -> torch.Tensor:
        """See `Int8Kernel.product`; the layers' features stand side by side."""
        sizes = self._weights.widths
        whole = values.new_empty(len(values), sum(sizes), dtype=torch.float32)
        outs = whole.split_with_sizes(sizes, -1)
        self._products.multiply(Rows.INTEGERS, values.contiguous(), self._weights, outs, scales=self._scales)
        return whole

    def pad(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        """See `PackedWeights.pad`."""
        return self._weights.pad(vectors)

    def multiply(
        self,
        rows: torch.Tensor,
        outs: Sequence[torch.Tensor],
        *,
        bits: int,
        bias: torch.Tensor | None,
        activated: torch.Tensor | None = None,
    ) -> None:
        """Round rows, each to its own scale, and write the layers' outputs; all bfloat16 (`Products.multiply`)."""
        self._products.multiply(
            Rows.ROUNDED,
            rows.contiguous(),
            self._weights,
            outs,
            bits=bits,
            scales=self._scales,
            bias=bias,
            activated=activated,
        )
