"""The compiled matrix products as functions of tensors, tried before they are used."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import torch

from pytest_qeval.quantize.kernels.compiled.compiler import tried
from pytest_qeval.quantize.kernels.grid import SMALLEST_SCALE

_PANEL = 32
"""Output features of a panel; see `products.c`, also for what follows."""
_STEP_BYTES, _STEP_OF_PANEL = 64, 2048
_POINTER, _LONG, _FLOAT, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_int
_PACK = (_POINTER, _LONG, _LONG, _POINTER, _LONG, _LONG, _POINTER)
_MULTIPLY = (
    *(_INT, _POINTER, _LONG, _LONG, _POINTER, _POINTER, _LONG, _LONG, _FLOAT, _FLOAT),
    *(_LONG, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
)


class Rows(IntEnum):
    """What is multiplied by what."""

    FLOATS = 0
    """bfloat16 by bfloat16."""
    ROUNDED = 1
    """bfloat16, each row rounded to integers of its own scale, by int8."""
    INTEGERS = 2
    """int8 by int8; the results are float32."""


class PackedWeights(NamedTuple):
    """Weights of layers that have one input, in the products' own layout."""

    panels: torch.Tensor
    """Bytes."""
    shifts: torch.Tensor | None
    """int32, of every output feature; None for bfloat16."""
    widths: tuple[int, ...]
    """Output features of each layer."""
    columns: int
    """Input features."""
    start: int = 0
    every: int = 1
    """The layers' first panel, and the distance to the next one."""

    @property
    def nbytes(self) -> int:
        """Bytes of all panels."""
        return self.panels.nbytes + (self.shifts.nbytes if self.shifts is not None else 0)

    def only(self, index: int) -> PackedWeights:
        """Return one of some layers."""
        first = self.start + _first_panels(self.widths)[index] * self.every
        every = self.every * (len(self.widths) if _alternate(self.widths) else 1)
        return self._replace(widths=(self.widths[index],), start=first, every=every)

    def pad(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Join a vector of each layer, [output features], as the products want it: float32, padded to whole panels."""
        return torch.cat([torch.nn.functional.pad(one.float(), (0, -len(one) % _PANEL)) for one in vectors])


class Products:
    """The functions of `products.c`. All tensors are on the CPU."""

    def __init__(self, library: ctypes.CDLL, *, tiles: bool = True) -> None:
        """Take the loaded library, and whether AMX may be used where there is one.

        Raises:
            AttributeError: when it was compiled for a processor that cannot multiply so.
        """
        self._pack, self._multiply = library.pack_weight, library.multiply_packed
        self._pack.argtypes, self._pack.restype = _PACK, None
        self._multiply.argtypes, self._multiply.restype = _MULTIPLY, _INT
        self.has_tiles = bool(library.use_tiles(tiles))

    def pack(self, weights: Sequence[torch.Tensor]) -> PackedWeights:
        """Pack weights [output features, input features] of layers with one input, all bfloat16 or all int8."""
        columns, size = weights[0].shape[1], weights[0].itemsize
        widths = tuple(map(len, weights))
        total = sum(-(-width // _PANEL) for width in widths)
        panels = torch.empty(
            total * -(-columns * size // _STEP_BYTES) * _STEP_OF_PANEL, dtype=torch.uint8, device="cpu"
        )
        shifts = torch.empty(total * _PANEL, dtype=torch.int32, device="cpu") if size == 1 else None
        packed = PackedWeights(panels, shifts, widths, columns)
        for index, weight in enumerate(weights):
            one, plain = packed.only(index), weight.detach().contiguous()
            self._pack(
                *(plain.data_ptr(), len(plain), columns * size, panels.data_ptr()),
                *(one.start, one.every, _address(shifts)),
            )
        return packed

    def multiply(
        self,
        kind: Rows,
        rows: torch.Tensor,
        weights: PackedWeights,
        outs: Sequence[torch.Tensor],
        *,
        bits: int = 8,
        scales: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
        activated: torch.Tensor | None = None,
    ) -> None:
        """Multiply rows [rows, input features] by some layers' weights.

        Args:
            kind: Of the products.
            rows: bfloat16, or int8, contiguous.
            weights: Of all layers.
            outs: Where each layer's results go, [rows, output features], each row contiguous. With `activated` there is
                only one, for `activation(gate) · up` of two layers.
            bits: To which rows are rounded.
            scales: Of the output features, padded (`PackedWeights.pad`); none for bfloat16.
            bias: In the same order.
            activated: The activation of every bfloat16 (`loops.activation_table`).

        Raises:
            ValueError: when rows are not what these weights are multiplied by.
            MemoryError: when there is none for the packed rows.
        """
        dtype = torch.int8 if kind is Rows.INTEGERS else torch.bfloat16
        if rows.shape[1] != weights.columns or rows.dtype != dtype or rows.device.type != "cpu":
            found = f"{tuple(rows.shape)} in {rows.dtype} on {rows.device}"
            raise ValueError(f"expected rows of {weights.columns} numbers in {dtype} on the CPU, got {found}")
        if not rows.is_contiguous():
            raise ValueError("expected contiguous rows")
        if not (rows.numel() and sum(weights.widths)):
            return
        count = len(weights.widths)
        failed = self._multiply(
            *(kind, rows.data_ptr(), len(rows), weights.columns, weights.panels.data_ptr(), _address(weights.shifts)),
            *(weights.start, weights.every, float(2 ** (bits - 1) - 1), SMALLEST_SCALE),
            *(count, (_LONG * count)(*weights.widths), _address(scales), _address(bias), _address(activated)),
            (_POINTER * len(outs))(*(out.data_ptr() for out in outs)),
            (_LONG * len(outs))(*(out.stride(0) for out in outs)),
        )
        if failed:
            raise MemoryError

    def __reduce__(self) -> tuple[Any, ...]:
        """Let models that use the products be copied and pickled: they are loaded again."""
        return _load_again, ()


@cache
def compiled_products() -> Products | None:
    """Return the products; None where there are none, or what they give is wrong."""
    return tried(Products, is_exact)


@torch.inference_mode()
def is_exact(products: Products) -> bool:
    """Return whether results are right, for small integers, whose sums all types represent."""
    generator = torch.Generator().manual_seed(0)
    rows, *weights = (torch.randint(-7, 8, (n, 200), generator=generator) for n in (37, 70, 40))
    rows[:, 0] = 7  # each row's scale is 1 in 4 bits
    expected = [rows @ weight.t() for weight in weights]
    for kind, dtype in ((Rows.FLOATS, torch.bfloat16), (Rows.ROUNDED, torch.int8), (Rows.INTEGERS, torch.int8)):
        packed = products.pack([weight.to(dtype) for weight in weights])
        given = rows.to(torch.int8 if kind is Rows.INTEGERS else torch.bfloat16)
        result = torch.float32 if kind is Rows.INTEGERS else torch.bfloat16
        outs = [torch.empty(len(rows), len(weight), dtype=result) for weight in weights]
        ones = packed.pad([torch.ones(len(weight)) for weight in weights])
        products.multiply(kind, given, packed, outs, bits=4, scales=ones)
        if not all(torch.equal(out, exact.to(result)) for out, exact in zip(outs, expected, strict=True)):
            return False
    return True


def _alternate(widths: Sequence[int]) -> bool:
    """Return whether panels of the layers alternate, instead of following one another."""
    return len(set(widths)) == 1


def _first_panels(widths: Sequence[int]) -> list[int]:
    if _alternate(widths):
        return [*range(len(widths))]
    counts = [-(-width // _PANEL) for width in widths]
    return [sum(counts[:index]) for index in range(len(counts))]


def _load_again() -> Products:
    products = compiled_products()
    if products is None:
        raise ImportError("the compiled products of the model are not available in this process")
    return products


def _address(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
