"""Floating-point products in which a row's result does not depend on the other rows, their number, or the threads.

A kernel chooses by the number of rows, and of threads, in what order it adds. oneDNN does so where it uses AMX: with a
weight of 4864 × 896 in bfloat16, 1 to 1024 rows on one or two threads give the same row in nine ways (torch 2.13).
MKL, torch's choice for float32, has three ways. oneDNN without AMX has one, from two rows on.

Rows are therefore multiplied in blocks whose sizes are known to give the bits of one thread: every shape of a weight is
tried once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch.nn.functional import linear, pad

_SIZES = (2, 8, 32, 64, 128, 256, 512)
_ODD_SIZES = (33, 100)
"""Tried as well: where these agree with all of `_SIZES`, blocks are not needed."""
_NARROW, _WIDE = 32, 64
"""Sizes whose bits all blocks have to give: the wide one if it agrees with blocks of 128 and 256 rows. With AMX the
narrow one often stands alone, and costs twice the time for wide batches."""
_MOST_WORK = 2**35
"""Multiplications of the largest product that is tried: some tenths of a second."""
_PADDING = 1.5
"""A block may be that much larger than the rows that are left, before they are divided further."""

_Tried = dict[int, torch.Tensor | None]
"""The row that a number of equal rows gave; None if they did not give the same."""


class Blocks(NamedTuple):
    """Numbers of rows that may be multiplied at a time."""

    sizes: tuple[int, ...]
    """Ascending; empty where any number from 2 to 512 gives the same row."""
    any_threads: bool
    """Whether one thread gives the same row."""


def multiply(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return `x @ weight.T + bias` for `x` `[..., in_features]` and a `weight` `[out_features, in_features]`."""
    if x.device.type != "cpu" or x.dtype != weight.dtype or x.numel() == 0:
        return linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    sizes = blocks_of(weight).sizes
    parts = [
        _product(rows[start : start + size] if start + size <= len(rows) else _padded(rows[start:], size), weight, bias)
        for start, size in _divide(len(rows), sizes)
    ]
    product = parts[0] if len(parts) == 1 else torch.cat(parts)
    return product[: len(rows)].view(*x.shape[:-1], -1)


def blocks_of(weight: torch.Tensor) -> Blocks:
    """Return the blocks for a weight's shape, with torch's present number of threads."""
    shape = (*weight.shape, *weight.stride(), weight.dtype, torch.get_num_threads())
    if shape not in _known():
        with torch.inference_mode():
            _known()[shape] = _find_blocks(weight.detach())
    return _known()[shape]


def threads_matter() -> bool:
    """Whether a product that has been made so far could not be given the bits of one thread."""
    return any(not blocks.any_threads for blocks in _known().values())


@cache
def _known() -> dict[tuple[object, ...], Blocks]:
    return {}


def _divide(count: int, sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Divide rows into blocks: the first row and the size of each; the last block may reach beyond the end."""
    start = 0
    while start < count:
        left = count - start
        size = next((size for size in sizes if left <= size <= _PADDING * left), 0)
        if not sizes:
            size = min(max(left, _SIZES[0]), _SIZES[-1])
        elif not size:
            size = max((size for size in sizes if size <= left), default=sizes[0])
        yield start, size
        start += size


def _padded(rows: torch.Tensor, size: int) -> torch.Tensor:
    return pad(rows, (0, 0, 0, size - len(rows)))


def _product(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiply with oneDNN, also where torch would take MKL, or another kernel for a single row."""
    if not _onednn_works(weight.dtype):
        return linear(rows, weight, bias)
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")  # noqa: SLF001
    return product


@cache
def _onednn_works(dtype: torch.dtype) -> bool:
    """Whether this torch multiplies plain weights of this dtype with oneDNN; tested once, the operator is private."""
    rows = torch.eye(2, 32, dtype=dtype)
    try:
        product = torch.ops.mkldnn._linear_pointwise(rows, rows, None, "none", [], "")  # noqa: SLF001
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(product, rows @ rows.t())


def _find_blocks(weight: torch.Tensor) -> Blocks:
    row = torch.randn(1, weight.shape[1], generator=torch.Generator().manual_seed(0)).to(weight.dtype)
    largest = max(_NARROW, _MOST_WORK // weight.numel())
    bias = _revealing_bias(row, weight)

    def tried(sizes: tuple[int, ...]) -> _Tried:
        products = {
            size: _product(row.expand(size, -1).contiguous(), weight, bias) for size in sizes if size <= largest
        }
        return {size: one[0] if torch.equal(one, one[:1].expand_as(one)) else None for size, one in products.items()}

    own = tried(_SIZES + _ODD_SIZES)
    threads = torch.get_num_threads()
    if threads == 1:
        return _choose(own, own)
    torch.set_num_threads(1)
    try:
        return _choose(own, tried(_SIZES))
    finally:
        torch.set_num_threads(threads)


def _revealing_bias(row: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
    """Return a float32 bias that takes a product away but for its last bits, which rounding would hide."""
    if not _onednn_works(weight.dtype):
        return None
    rows = row.expand(_NARROW, -1).contiguous()
    bias = torch.zeros(weight.shape[0])
    for _ in range(2):
        bias -= _product(rows, weight, bias)[0].float()
    return bias


def _choose(own: _Tried, single: _Tried) -> Blocks:
    """Choose sizes with the bits of one thread, `single`, if there are any."""
    if all(_same(one, single[_NARROW]) for one in (*own.values(), *single.values())):
        return Blocks((), any_threads=True)
    for known in (single, own):
        wide = all(_same(known.get(_WIDE), known[size]) for size in (2 * _WIDE, 4 * _WIDE) if size in known)
        bits = known[_WIDE if wide and _WIDE in known else _NARROW]
        if sizes := tuple(size for size in _SIZES if size in own and _same(own[size], bits)):
            return Blocks(sizes, any_threads=known is single)
    return Blocks((_NARROW,), any_threads=False)


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other)
