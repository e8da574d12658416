"""Gated layers, `down(activation(gate(x)) · up(x))`, with compiled loops: the same bits in fewer passes."""

from __future__ import annotations

from inspect import signature
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from pytest_qeval.quantize.kernels.compiled.loops import Loops, activation_table
from pytest_qeval.quantize.kernels.compiled.trial import numbers_of_all_sizes
from pytest_qeval.quantize.kernels.float_linear import PackedPair, PackingForward, pack_together
from pytest_qeval.quantize.kernels.linear import CHUNK_ELEMENTS, FusedInt8Linear, Int8Linear

_PARTS = {"gate_proj", "up_proj", "down_proj", "act_fn"}
_COLUMNS = 64
_tables: list[torch.Tensor] = []
"""One for each activation that was met."""


class GatedLayer:
    """The forward pass of a module with `gate_proj`, `up_proj`, `down_proj` and `act_fn`."""

    def __init__(self, module: Any, loops: Loops, activated: torch.Tensor) -> None:
        """Take the module and the table of its activation."""
        self._module, self._loops, self._activated = module, loops, activated
        self._pair: tuple[PackedPair, PackingForward, PackingForward] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the module's output for one input [..., features]; what is not bfloat16 is left to the module."""
        module = self._module
        x = args[0] if len(args) == 1 and not kwargs else None
        if x is not None and _fits(x):
            if fused := _fused_int8(module):
                return self._in_int8(x, *fused)
            if pair := self._packed_pair():
                gated = pair.gate(x.reshape(-1, x.shape[-1]), self._activated)
                return module.down_proj(gated.view(*x.shape[:-1], -1))  # type: ignore[no-any-return]
            gates, ups = module.gate_proj(x), module.up_proj(x)
            if _fits(gates) and _fits(ups) and gates.shape == ups.shape:
                return module.down_proj(self._loops.gate(gates, ups, self._activated))  # type: ignore[no-any-return]
        return type(module).forward(module, *args, **kwargs)  # type: ignore[no-any-return]

    def _packed_pair(self) -> PackedPair | None:
        """Return gate and up as one product, packed now if they have not been; None where they cannot be."""
        gate, up = layers = self._module.gate_proj, self._module.up_proj
        if any(one._forward_hooks or one._forward_pre_hooks for one in layers):  # noqa: SLF001 - no public name
            return None
        first, second = gate.__dict__.get("forward"), up.__dict__.get("forward")
        if not (isinstance(first, PackingForward) and isinstance(second, PackingForward)):
            return None
        if self._pair is None:
            same = first.plain_weight.shape == second.plain_weight.shape
            if same and (products := first.products) and second.products:
                self._pair = pack_together([first, second], products), first, second
        is_current = self._pair and self._pair[1:] == (first, second) and first.is_packed and second.is_packed
        return self._pair[0] if self._pair and is_current else None

    def _in_int8(self, x: torch.Tensor, first: FusedInt8Linear, second: FusedInt8Linear) -> torch.Tensor:
        """Compute chunks of rows from the input to the output: what is between never becomes a whole matrix."""
        rows = x.reshape(-1, x.shape[-1])
        out = rows.new_empty(len(rows), second.sizes[0])
        if first.packed and second.packed:
            gated = rows.new_empty(len(rows), first.sizes[0])
            first.multiply_packed(first.packed, rows, [gated], self._activated)
            second.multiply_packed(second.packed, gated, [out])
            return out.view(*x.shape[:-1], -1)
        step = max(1, CHUNK_ELEMENTS // max(sum(first.panels[0].sizes), second.in_features))
        for start in range(0, len(rows), step):
            chunk = slice(start, start + step)
            second.multiply_compiled(self._loops, self._gated(rows[chunk], first), [out[chunk]])
        return out.view(*x.shape[:-1], -1)

    def _gated(self, rows: torch.Tensor, first: FusedInt8Linear) -> torch.Tensor:
        shifted = self._loops.quantize(rows, first.bits)
        gated = rows.new_empty(len(rows), first.sizes[0])
        for panel in first.panels:
            sums, part = panel.sums_of_shifted(shifted.values), gated[:, panel.columns[0]]
            self._loops.finish_and_gate(sums, shifted.scales, first.bias_of(panel), self._activated, part)
        return gated


def gated_layer(module: nn.Module, loops: Loops) -> GatedLayer | None:
    """Return how to compute a module; None where it is no gated layer, or does more than one."""
    if not {name for name, _ in module.named_children()} >= _PARTS or not takes_one_input(module):
        return None
    try:
        activated = _table_of(module.act_fn)
        return GatedLayer(module, loops, activated) if _gates_alike(module, loops, activated) else None
    except Exception:  # noqa: BLE001 - a module of anyone's, given odd parts, may raise anything
        return None


def takes_one_input(module: nn.Module) -> bool:
    """Return whether a module has the forward pass of its class, and that takes one input and nothing else."""
    return "forward" not in vars(module) and len(signature(type(module).forward).parameters) == 2  # noqa: PLR2004 - self


def _fits(x: torch.Tensor) -> bool:
    return x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.is_contiguous() and x.numel() > 0


def _fused_int8(module: Any) -> tuple[FusedInt8Linear, FusedInt8Linear] | None:
    """Return the int8 layers of a module whose gate and up projections are one product."""
    gate, up, down = layers = module.gate_proj, module.up_proj, module.down_proj
    if not all(isinstance(one, Int8Linear) and one.is_plain_bfloat16 and one.fused.is_compiled for one in layers):
        return None
    if gate.fused is not up.fused or (gate.index, up.index) != (0, 1) or len(down.fused.sizes) > 1:
        return None
    sizes = gate.fused.sizes
    return (gate.fused, down.fused) if sizes == (down.in_features,) * 2 else None


def _table_of(activation: Any) -> torch.Tensor:
    table = activation_table(activation)
    known = next((one for one in _tables if torch.equal(one, table)), None)
    if known is None:
        _tables.append(table)
    return table if known is None else known


@torch.inference_mode()
def _gates_alike(module: Any, loops: Loops, activated: torch.Tensor) -> bool:
    """Run the module's own forward pass around two given products, and compare what it makes of them with the loops.

    The input has to reach the products as it is, and what comes after them has to be the output.
    """
    gates = numbers_of_all_sizes(_COLUMNS)[None]
    x, output, products = torch.zeros_like(gates), object(), []

    def given(result: torch.Tensor) -> Any:
        return lambda got: result if got is x else None

    def down(product: torch.Tensor) -> object:
        products.append(product)
        return output

    ups = gates.flip(1)
    parts = SimpleNamespace(gate_proj=given(gates), up_proj=given(ups), down_proj=down, act_fn=module.act_fn)
    if type(module).forward(parts, x) is not output or len(products) != 1:
        return False
    sums, together = torch.cat([gates[0], ups[0]], -1).float(), torch.empty_like(gates[0])
    loops.finish_and_gate(sums, torch.ones(len(sums)), None, activated, together)
    return torch.equal(products[0], loops.gate(gates, ups, activated)) and torch.equal(products[0][0], together)
