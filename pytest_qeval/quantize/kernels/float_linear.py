"""Floating-point layers whose weights are packed at their first product, and multiply alike in any batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_qeval.quantize.heap import ReplacedWeights
from pytest_qeval.quantize.kernels.compiled.products import PackedWeights, Products, Rows, compiled_products
from pytest_qeval.quantize.kernels.onednn_product import pack
from pytest_qeval.quantize.kernels.row_blocks import multiply
from pytest_qeval.quantize.layers import weight_of
from pytest_qeval.quantize.memory_mapped import MappedFiles


class _Packed(NamedTuple):
    products: Products
    weights: PackedWeights
    bias: torch.Tensor | None


class PackingForward:
    """The forward pass of an `nn.Linear` or `Conv1D`.

    The packed weight replaces the plain one. bfloat16 is multiplied by the compiled products where there are any, else
    by oneDNN. A weight packed for the products leaves a tensor of its shape that holds NaN, for those who ask for its
    type; the layer cannot be saved any more. Who sets another weight gets its product.
    """

    def __init__(self, layer: Any, files: MappedFiles, replaced: ReplacedWeights) -> None:
        """Take the layer, and who gives memory back."""
        self._layer, self._files, self._replaced = layer, files, replaced
        self._packed: _Packed | None = None
        self._placeholder: nn.Parameter | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Map [..., in_features] to [..., out_features]."""
        layer = self._layer
        if type(layer.weight) is not nn.Parameter:  # another package has quantized it
            return type(layer).forward(layer, x)  # type: ignore[no-any-return]
        if not self.is_packed and (products := self.products):
            pack_together([self], products)
        if self._packed and self.is_packed:
            return self._multiply_packed(x, self._packed)
        return multiply(x, layer.weight.detach(), layer.bias) if layer.weight.is_mkldnn else self._multiply_first(x)

    @property
    def is_packed(self) -> bool:
        """Whether the products have the layer's weight, and nobody has set another one."""
        return self._placeholder is not None and self._layer.weight is self._placeholder

    @property
    def products(self) -> Products | None:
        """What can pack the layer's weight; None where it has to be oneDNN, or has happened."""
        weight = self._layer.weight
        fits = weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and weight.numel() > 0
        is_open = type(weight) is nn.Parameter and not self.is_packed and not weight.is_mkldnn
        return compiled_products() if fits and is_open else None

    @property
    def plain_weight(self) -> torch.Tensor:
        """[out_features, in_features], before it is packed."""
        return weight_of(self._layer)

    @property
    def bias(self) -> torch.Tensor | None:
        """[out_features]."""
        return self._layer.bias  # type: ignore[no-any-return]

    def take(self, products: Products, weights: PackedWeights) -> None:
        """Replace the weight by the packed one."""
        plain, bias = self._layer.weight, self.bias
        self._packed = _Packed(products, weights, None if bias is None else weights.pad([bias.detach()]))
        unreadable = torch.full((), torch.nan, dtype=plain.dtype).expand(plain.shape)
        self._layer.weight = self._placeholder = nn.Parameter(unreadable, requires_grad=False)
        self._layer.register_state_dict_pre_hook(_refuse_to_save)
        self._files.release(plain.detach())
        nbytes = plain.nbytes
        del plain
        self._replaced.add(nbytes)

    def _multiply_first(self, x: torch.Tensor) -> torch.Tensor:
        layer, plain = self._layer, self.plain_weight
        weight = pack(plain)
        if weight.is_mkldnn:
            layer.weight = nn.Parameter(weight, requires_grad=False)
            self._files.release(plain)
            del plain
            self._replaced.add(weight.nbytes)
        return multiply(x, weight, layer.bias)

    def _multiply_packed(self, x: torch.Tensor, packed: _Packed) -> torch.Tensor:
        weights = packed.weights
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        out = rows.new_empty(len(rows), weights.widths[0])
        packed.products.multiply(Rows.FLOATS, rows, weights, [out], bias=packed.bias)
        return out.view(*x.shape[:-1], weights.widths[0])


def _refuse_to_save(module: nn.Module, prefix: str, keep_vars: bool) -> None:  # noqa: FBT001 - torch calls it so
    del module, keep_vars
    raise RuntimeError(f"the weight of {prefix.rstrip('.')} has been packed: load the model again to save it")


class PackedPair(NamedTuple):
    """Two layers of bfloat16 with one input, which are multiplied together; see `Products.multiply`."""

    products: Products
    weights: PackedWeights
    bias: torch.Tensor | None

    def gate(self, rows: torch.Tensor, activated: torch.Tensor) -> torch.Tensor:
        """Return `activation(first(rows)) · second(rows)`, [rows, out_features]."""
        out = rows.new_empty(len(rows), self.weights.widths[0])
        self.products.multiply(Rows.FLOATS, rows, self.weights, [out], bias=self.bias, activated=activated)
        return out


def pack_together(layers: Sequence[PackingForward], products: Products) -> PackedPair:
    """Pack the weights of layers with one input, which can still be called one by one."""
    weights = products.pack([layer.plain_weight for layer in layers])
    biases = [layer.bias for layer in layers]
    given = [
        torch.zeros(width) if bias is None else bias.detach()
        for bias, width in zip(biases, weights.widths, strict=True)
    ]
    bias = None if all(one is None for one in biases) else weights.pad(given)
    for index, layer in enumerate(layers):
        layer.take(products, weights.only(index))
    return PackedPair(products, weights, bias)
