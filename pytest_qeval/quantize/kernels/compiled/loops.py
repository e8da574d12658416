"""The compiled loops as functions of tensors, each tried against torch's own operations before it is used."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch

from pytest_qeval.quantize.kernels.compiled.compiler import load_library
from pytest_qeval.quantize.kernels.grid import SMALLEST_SCALE

_POINTER, _LONG, _FLOAT, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_int
_ARGUMENTS = {
    "quantize": (_POINTER, _LONG, _LONG, _FLOAT, _FLOAT, _POINTER, _POINTER),
    "finish": (_POINTER, _POINTER, _POINTER, _LONG, _LONG, _POINTER, _POINTER, _POINTER),
    "gate": (_POINTER, _POINTER, _LONG, _POINTER, _POINTER),
    "finish_and_gate": (_POINTER, _POINTER, _POINTER, _LONG, _LONG, _POINTER, _POINTER, _LONG),
    "squares": (_POINTER, _LONG, _LONG, _INT, _POINTER),
    "rms_norm": (_POINTER, _POINTER, _FLOAT, _LONG, _LONG, _INT, _POINTER),
}


class ShiftedRows:
    """Rows as unsigned integers, `value + 128`, and their scales: `matrix ≈ (values - 128) · scales`."""

    __slots__ = ("scales", "values")

    def __init__(self, rows: int, columns: int) -> None:
        """Allocate uint8 [rows, columns] and float32 [rows]."""
        self.values = torch.empty(rows, columns, dtype=torch.uint8)
        self.scales = torch.empty(rows)


class Loops:
    """The functions of `loops.c`. Tensors are on the CPU and contiguous, floating-point ones bfloat16 unless stated."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Take the loaded library.

        Raises:
            AttributeError: when it has not all of the functions.
        """
        self._call: dict[str, Any] = {}
        for name, arguments in _ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, None
            self._call[name] = function

    def __reduce__(self) -> tuple[Any, ...]:
        """Let models that use the loops be copied and pickled: they are loaded again."""
        return _load_again, ()

    def quantize(self, rows: torch.Tensor, bits: int) -> ShiftedRows:
        """Round rows [rows, columns] as `grid.quantize_rows` does."""
        out = ShiftedRows(*rows.shape)
        self._call["quantize"](
            rows.data_ptr(),
            *rows.shape,
            _steps(bits),
            SMALLEST_SCALE,
            out.values.data_ptr(),
            out.scales.data_ptr(),
        )
        return out

    def finish(
        self, sums: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None, outs: Sequence[torch.Tensor]
    ) -> None:
        """Write `sums · scales + bias` (float32 [rows, columns], [rows], [columns]) into `outs`, side by side.

        Only the columns of an `out` need to be contiguous.
        """
        starts = [0]
        for out in outs:
            starts.append(starts[-1] + out.shape[1])
        self._call["finish"](
            sums.data_ptr(),
            scales.data_ptr(),
            _address(bias),
            len(sums),
            len(outs),
            (_LONG * len(starts))(*starts),
            (_POINTER * len(outs))(*(out.data_ptr() for out in outs)),
            (_LONG * len(outs))(*(out.stride(0) for out in outs)),
        )

    def gate(self, gates: torch.Tensor, ups: torch.Tensor, activated: torch.Tensor) -> torch.Tensor:
        """Return `activation(gates) · ups`, with the activation's table (`activation_table`)."""
        out = torch.empty_like(gates)
        self._call["gate"](gates.data_ptr(), ups.data_ptr(), gates.numel(), activated.data_ptr(), out.data_ptr())
        return out

    def finish_and_gate(
        self,
        sums: torch.Tensor,
        scales: torch.Tensor,
        bias: torch.Tensor | None,
        activated: torch.Tensor,
        out: torch.Tensor,
    ) -> None:
        """Do `finish` and `gate` of float32 sums [rows, gates and as many ups] into `out` [rows, gates].

        Only the columns of `out` need to be contiguous.
        """
        self._call["finish_and_gate"](
            sums.data_ptr(),
            scales.data_ptr(),
            _address(bias),
            *out.shape,
            activated.data_ptr(),
            out.data_ptr(),
            out.stride(0),
        )

    def squares(self, x: torch.Tensor, lanes: int) -> torch.Tensor:
        """Return the sums of squares of the rows of x [rows, columns], float32 [rows]; see `rms_norm`."""
        sums = torch.empty(len(x))
        self._call["squares"](x.data_ptr(), *x.shape, lanes, sums.data_ptr())
        return sums

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, epsilon: float, lanes: int) -> torch.Tensor:
        """Return `weight · x / √(mean(x²) + epsilon)` over the last dimension, added up in vectors of 8 or 16 lanes."""
        out = torch.empty_like(x)
        columns = x.shape[-1]
        self._call["rms_norm"](
            x.data_ptr(), weight.data_ptr(), epsilon, x.numel() // columns, columns, lanes, out.data_ptr()
        )
        return out


def activation_table(activation: Any) -> torch.Tensor:
    """Return an activation of every bfloat16 in the order of their bits, as bits: int32 [65536]."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).roll(2**15).view(torch.bfloat16)
    bits: torch.Tensor = activation(every).view(torch.int16)
    return bits.to(torch.int32) & 0xFFFF


def _load_again() -> Loops:
    library = load_library()
    if library is None:
        raise ImportError("the compiled loops of the model are not available in this process")
    return Loops(library)


def _steps(bits: int) -> float:
    return float(2 ** (bits - 1) - 1)


def _address(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
