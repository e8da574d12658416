"""Gated layers, `down(activation(gate(x)) · up(x))`, with compiled loops: the same bits in fewer passes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from pytest_qeval.quantize.kernels.compiled.loops import Loops, activation_table
from pytest_qeval.quantize.kernels.linear import CHUNK_ELEMENTS, FusedInt8Linear, Int8Linear

_PARTS = {"gate_proj", "up_proj", "down_proj", "act_fn"}


class GatedLayer:
    """The forward pass of a module with `gate_proj`, `up_proj`, `down_proj` and `act_fn`."""

    def __init__(self, module: Any, loops: Loops, activated: torch.Tensor) -> None:
        """Take the module and the table of its activation."""
        self._module, self._loops, self._activated = module, loops, activated
        self._fused = _fused_int8(module)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the module's output for `x` [..., features]; as the module itself where `x` is not bfloat16."""
        module = self._module
        if x.dtype != torch.bfloat16 or x.device.type != "cpu" or not x.numel():
            return type(module).forward(module, x)  # type: ignore[no-any-return]
        if self._fused:
            return self._in_int8(x, *self._fused)
        gates, ups = module.gate_proj(x), module.up_proj(x)
        return module.down_proj(self._loops.gate(gates, ups, self._activated))  # type: ignore[no-any-return]

    def _in_int8(self, x: torch.Tensor, first: FusedInt8Linear, second: FusedInt8Linear) -> torch.Tensor:
        """Compute chunks of rows from the input to the output: what is between never becomes a whole matrix."""
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        out = rows.new_empty(len(rows), second.sizes[0])
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
    """Return how to compute a module; None where it is no gated layer, or the loops do not give its bits."""
    if not {name for name, _ in module.named_children()} >= _PARTS:
        return None
    try:
        activated = activation_table(module.act_fn)
        found = GatedLayer(module, loops, activated)
        return found if _gates_alike(module, loops, activated) else None
    except (AttributeError, TypeError, RuntimeError):  # more than the four parts, or an activation of something else
        return None


def _fused_int8(module: Any) -> tuple[FusedInt8Linear, FusedInt8Linear] | None:
    """Return the int8 layers of a module whose gate and up projections are one product."""
    gate, up, down = module.gate_proj, module.up_proj, module.down_proj
    if not all(isinstance(layer, Int8Linear) and layer.fused.loops for layer in (gate, up, down)):
        return None
    together = gate.fused is up.fused and (gate.index, up.index) == (0, 1) and len(gate.fused.sizes) == 2  # noqa: PLR2004
    return (gate.fused, down.fused) if together and len(down.fused.sizes) == 1 else None


@torch.inference_mode()
def _gates_alike(module: Any, loops: Loops, activated: torch.Tensor) -> bool:
    """Compare the module's own forward pass, around two given products, with the loops."""
    generator = torch.Generator().manual_seed(0)
    gates, ups = (torch.randn(2, 64, generator=generator).bfloat16() * 4 for _ in range(2))
    alike = SimpleNamespace(
        gate_proj=lambda _: gates, up_proj=lambda _: ups, down_proj=lambda product: product, act_fn=module.act_fn
    )
    return torch.equal(type(module).forward(alike, gates), loops.gate(gates, ups, activated))
