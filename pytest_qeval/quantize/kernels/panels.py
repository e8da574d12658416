"""Divide wide int8 layers into panels of output features, whose products stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch

from pytest_qeval.quantize.kernels.compiled.products import compiled_products
from pytest_qeval.quantize.kernels.int8_product import Int8Kernel, OneDnnKernel, kernel_for
from pytest_qeval.quantize.kernels.packed_kernel import PackedKernel
from pytest_qeval.quantize.kernels.weights import QuantizedWeight

_FEATURES = 2560
"""Output features that a panel should have at most: 512 rows of them are 5 MB of float32."""
_STEP, _MOST = 16, 64
"""A layer's share of a panel is a multiple of the step; of more panels, their calls would cost too much."""


class Panel:
    """The same share of some layers that have one input: the packed weight, and whose outputs it gives."""

    def __init__(self, kernel: Int8Kernel, columns: Sequence[tuple[int, int]], features: tuple[int, int]) -> None:
        """Take the first and last output feature of each layer, and of all in the order of panels."""
        self.kernel = kernel
        self.columns = tuple(slice(*pair) for pair in columns)
        self.features = slice(*features)
        self.sizes = [end - start for start, end in columns]

    @property
    def takes_shifted_rows(self) -> bool:
        """Whether `sums_of_shifted` can be called."""
        return isinstance(self.kernel, OneDnnKernel)

    def sums_of_shifted(self, values: torch.Tensor) -> torch.Tensor:
        """Return float32 products of uint8 `values + 128` [rows, in_features], scaled by output feature only."""
        assert isinstance(self.kernel, OneDnnKernel)  # noqa: S101 - the caller has asked
        return self.kernel.product_of_shifted(values)


def pack_panels(weights: Sequence[QuantizedWeight]) -> list[Panel]:
    """Pack the weights of layers with one input into panels that each have an equal share of every layer.

    The compiled products, which never write their sums, need a single one.
    """
    sizes = [len(weight.values) for weight in weights]
    products = compiled_products()
    if products and weights[0].values.device.type == "cpu":
        return [Panel(PackedKernel(products, weights), [(0, size) for size in sizes], (0, sum(sizes)))]
    count = _count(sizes)
    ends = accumulate([0] + [sum(sizes) // count] * count)
    return [
        Panel(
            kernel_for(
                _share([one.values for one in weights], at, count), _share([w.scales for w in weights], at, count)
            ),
            [(size // count * at, size // count * (at + 1)) for size in sizes],
            features,
        )
        for at, features in enumerate(pairwise(ends))
    ]


def in_panel_order(vectors: Sequence[torch.Tensor], panels: Sequence[Panel]) -> torch.Tensor:
    """Join a vector of every layer, [out_features] each, in the order of the panels' products."""
    return torch.cat([_share(vectors, at, len(panels)) for at in range(len(panels))])


def _share(tensors: Sequence[torch.Tensor], at: int, count: int) -> torch.Tensor:
    parts = [one[len(one) // count * at : len(one) // count * (at + 1)] for one in tensors]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _count(sizes: Sequence[int]) -> int:
    """Return the smallest number of equal panels that are narrow enough; 1 where none fits."""
    numbers = range(-(-sum(sizes) // _FEATURES), _MOST + 1)
    return next((n for n in numbers if all(size % (_STEP * n) == 0 for size in sizes)), 1)
