"""Linear layers computed in int8: integer weights, integer activations, an int32 sum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pytest_qeval.quantize.kernels.activations import ActivationQuantizer
from pytest_qeval.quantize.kernels.compiled.loops import Loops
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops
from pytest_qeval.quantize.kernels.grid import QuantizedRows
from pytest_qeval.quantize.kernels.packed_kernel import PackedKernel
from pytest_qeval.quantize.kernels.panels import Panel, in_panel_order, pack_panels
from pytest_qeval.quantize.kernels.weights import QuantizedWeight

CHUNK_ELEMENTS = 2**21
"""Elements of the float32 copies before and after the product (8 MB). malloc gets larger blocks from the system page by
page every time, and with smaller ones the weights are read more often (`benchmarks/linear.py`)."""

_WIDEST = 2**13
"""Output features that count for a chunk at most: all of a layer's weights are read for each."""


class FusedInt8Linear(nn.Module):
    """Linear layers with the same input, computed in one product when the first of them is called.

    Query, key and value, or gate and up: one quantization of the input and one product instead of two or three. This
    made query, key and value twice as fast, and gate and up 1.2 to 1.4 times as fast up to 128 rows and no faster at
    512 (0.5 B parameters; `benchmarks/linear.py`). A layer that is called with another tensor is computed for that
    tensor, so results never depend on the fusion. Not thread-safe, like the key/value cache.
    """

    bias: torch.Tensor | None
    weight_sums: torch.Tensor | None

    def __init__(
        self,
        weights: Sequence[QuantizedWeight],
        biases: Sequence[torch.Tensor | None],
        activations: ActivationQuantizer,
    ) -> None:
        """Pack `weights` with one scale per output feature each; the originals are not kept."""
        super().__init__()
        self.sizes = tuple(weight.values.shape[0] for weight in weights)
        self.in_features = weights[0].values.shape[1]
        self.panels = pack_panels(weights)
        self._activations = activations
        scheme = activations.scheme
        per_row = scheme.symmetric and scheme.granularity == "per_token"
        self.loops = compiled_loops() if per_row and self.panels[0].takes_shifted_rows else None
        """The compiled loops, where they can do this layer's work."""
        kernel = self.panels[0].kernel
        self.packed = kernel if per_row and isinstance(kernel, PackedKernel) else None
        """The compiled products, where they can do all of this layer's work."""
        sums = None if scheme.symmetric else in_panel_order([_sum(weight) for weight in weights], self.panels)
        self.register_buffer("weight_sums", sums, persistent=False)
        self.register_buffer("bias", _join(biases, self.sizes, self.panels), persistent=False)
        self._padded_bias = _pad(self.packed, self.bias, self.sizes)
        self._input: torch.Tensor | None = None
        self._version = 0
        self._outputs: list[torch.Tensor | None] = []

    @property
    def packed_bytes(self) -> int:
        """Bytes of the packed weights and their scales, which are not buffers; the bias is one."""
        return sum(panel.kernel.nbytes for panel in self.panels)

    @property
    def is_compiled(self) -> bool:
        """Whether bfloat16 is multiplied by compiled loops or products."""
        return self.loops is not None or self.packed is not None

    @property
    def bits(self) -> int:
        """Bits of the input's integers."""
        return self._activations.scheme.bits

    def output(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """Return the output of layer `index` for `x` `[..., in_features]`, in the dtype of `x`."""
        if self._input is not x or self._version != _version(x) or self._outputs[index] is None:
            self._outputs = [*self._multiply(x)]
            self._input, self._version = x, _version(x)
        out, self._outputs[index] = self._outputs[index], None
        if all(output is None for output in self._outputs):
            self._input = None
        return out  # type: ignore[return-value] # computed above if it was None

    def _multiply(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Compute the outputs of all layers."""
        rows = x.detach().reshape(-1, self.in_features)
        if rows.numel() == 0:
            return [rows.new_zeros(*x.shape[:-1], size) for size in self.sizes]
        outs = [rows.new_empty(len(rows), size) for size in self.sizes]
        if self.packed and x.dtype == torch.bfloat16 and x.device.type == "cpu":
            self.multiply_packed(self.packed, rows, outs)
            return [out.view(*x.shape[:-1], out.shape[-1]) for out in outs]
        quantize = self._activations.prepare(rows)
        step = max(1, CHUNK_ELEMENTS // max(self.in_features, min(_WIDEST, sum(self.panels[0].sizes))))
        for start in range(0, len(rows), step):
            chunk = slice(start, start + step)
            if self.loops and x.dtype == torch.bfloat16:
                self.multiply_compiled(self.loops, rows[chunk].contiguous(), [out[chunk] for out in outs])
                continue
            values = quantize(rows[chunk])
            for panel in self.panels:
                parts = self._product(panel, values).split_with_sizes(panel.sizes, -1)
                for out, columns, part in zip(outs, panel.columns, parts, strict=True):
                    out[chunk, columns].copy_(part)
        return [out.view(*x.shape[:-1], out.shape[-1]) for out in outs]

    def multiply_packed(
        self,
        packed: PackedKernel,
        rows: torch.Tensor,
        outs: Sequence[torch.Tensor],
        activated: torch.Tensor | None = None,
    ) -> None:
        """Write the outputs of all layers for rows of bfloat16; see `PackedKernel.multiply`."""
        packed.multiply(rows, outs, bits=self.bits, bias=self._padded_bias, activated=activated)

    def multiply_compiled(self, loops: Loops, rows: torch.Tensor, outs: Sequence[torch.Tensor]) -> None:
        """Write the outputs of all layers for some rows of bfloat16."""
        shifted = loops.quantize(rows, self.bits)
        for panel in self.panels:
            parts = [out[:, columns] for out, columns in zip(outs, panel.columns, strict=True)]
            loops.finish(panel.sums_of_shifted(shifted.values), shifted.scales, self.bias_of(panel), parts)

    def bias_of(self, panel: Panel) -> torch.Tensor | None:
        """Return a panel's part of the bias, float32."""
        return None if self.bias is None else self.bias[panel.features].float()

    def _product(self, panel: Panel, rows: QuantizedRows) -> torch.Tensor:
        """Compute a panel's float32 outputs for some rows."""
        product = panel.kernel.product(rows.values)
        if rows.offsets is not None and self.weight_sums is not None:  # Σ (x - z) w = Σ x w - z Σ w
            product = product.addcmul_(rows.offsets, self.weight_sums[panel.features], value=-1.0)
        product = product.mul_(rows.scales)
        bias = self.bias_of(panel)
        return product if bias is None else product.add_(bias)


class Int8Linear(nn.Module):
    """`nn.Linear` in int8 arithmetic, for inference.

    y = ((x_int8 - zero_point) @ w_int8ᵀ) · scale_channel · scale_row + bias, with an int32 sum and float32 scales.
    With a scale for every row (per_token), a token's output does not depend on other rows, and a row with
    NaN or infinity gives a row that is not finite.
    """

    weight = None
    """No floating-point weight: T5 would cast its input to the weight's dtype, and `forward` casts by itself."""

    def __init__(self, fused: FusedInt8Linear, index: int, dtype: torch.dtype | None = None) -> None:
        """Represent layer `index` of `fused`, with outputs in `dtype`, or in the dtype of the inputs."""
        super().__init__()
        self._dtype = dtype
        self.fused = fused
        self.index = index
        self.in_features, self.out_features = fused.in_features, fused.sizes[index]

    @classmethod
    def fuse(
        cls,
        weights: Sequence[QuantizedWeight],
        biases: Sequence[torch.Tensor | None],
        activations: ActivationQuantizer,
        dtype: torch.dtype | None = None,
    ) -> list[Int8Linear]:
        """Make one or more layers that usually get the same input, with outputs in `dtype`."""
        fused = FusedInt8Linear(weights, biases, activations)
        return [cls(fused, index, dtype) for index in range(len(weights))]

    @property
    def is_plain_bfloat16(self) -> bool:
        """Whether outputs for bfloat16 are bfloat16, and nobody watches the layer."""
        return self._dtype in {None, torch.bfloat16} and not (self._forward_hooks or self._forward_pre_hooks)

    @property
    def weight_bytes(self) -> int:
        """This layer's share of the packed bytes; the shares of all fused layers add up."""
        start, total = sum(self.fused.sizes[: self.index]), sum(self.fused.sizes)
        before, after = (self.fused.packed_bytes * end // total for end in (start, start + self.out_features))
        return after - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `[..., in_features]` to `[..., out_features]` in the layer's own dtype."""
        same = self._dtype is None or x.dtype == self._dtype
        return self.fused.output(x if same else x.to(self._dtype), self.index)

    def extra_repr(self) -> str:
        """Return the shape, as `nn.Linear` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


def _sum(weight: QuantizedWeight) -> torch.Tensor:
    """Return the scaled sum of every output feature's weights."""
    return weight.values.sum(1, dtype=torch.int32).float().mul_(weight.scales[:, 0])


def _join(biases: Sequence[torch.Tensor | None], sizes: Sequence[int], panels: Sequence[Panel]) -> torch.Tensor | None:
    """Return one float32 vector of all biases, with zeros for layers without one; None if no layer has one."""
    device = next((bias.device for bias in biases if bias is not None), None)
    if device is None:
        return None
    pairs = zip(biases, sizes, strict=True)
    every = [torch.zeros(n, device=device) if bias is None else bias.detach().float() for bias, n in pairs]
    return in_panel_order(every, panels)


def _pad(packed: PackedKernel | None, bias: torch.Tensor | None, sizes: Sequence[int]) -> torch.Tensor | None:
    """Return the bias as the compiled products want it."""
    return packed.pad(bias.split_with_sizes(list(sizes))) if packed and bias is not None else None


def _version(x: torch.Tensor) -> int:
    """Return how often a tensor was changed in place; inference tensors do not count, and models do not change them."""
    return 0 if x.is_inference() else x._version  # noqa: SLF001 - documented, without a public name
