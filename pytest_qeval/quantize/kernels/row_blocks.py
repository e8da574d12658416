"""Floating-point products in which a row's result does not depend on the other rows, their number, or the threads.

A kernel chooses by the number of rows, and of threads, in what order it adds. oneDNN does so where it uses AMX: with a
weight of 896 × 4864 in bfloat16, 1 to 1024 rows on one or two threads give the same row in nine ways (torch 2.13); with
one of 4864 × 896 in two ways, up to 32 rows and from 33 on. MKL, torch's choice for float32, has three ways. oneDNN
without AMX has one, from two rows on.

Rows are therefore multiplied in blocks whose sizes are known to give the bits of one thread: every shape of a weight is
tried once. A decoding step has its own sizes, small ones, and a prefill has the largest: each row of a prompt is always
multiplied in the same phase, so the two need not agree.

Weights are packed into oneDNN's own layout once. Otherwise oneDNN packs them again for every product
(`benchmarks/linear.py --blocks`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import torch
from torch.nn.functional import linear, pad

FEW_TOKENS = 32
"""Tokens of a sequence up to which a call decodes; a prefill brings more (`engines.hf.forward`)."""
_SIZES = (2, 8, 32, 64, 128, 256, 512)
_PREFILL_SIZES = (64, 96, 128, 192, 256, 384, 512)
_ODD_SIZES = (33, 100)
"""Tried as well: where these agree with all others, blocks are not needed."""
_DECODE_SIZES = (64, 32)
"""Sizes that may decide on the bits of a decoding step: the first one on which numbers of threads agree does.

With AMX, 32 shares its bits with all smaller sizes, and 64, mostly, with all larger ones. 64 comes first: wide
steps gain more by it than steps of fewer than 33 rows, which are padded, lose (`linear.py --blocks`)."""
_MOST_WORK = 2**35
"""Multiplications of the largest product that is tried: some tenths of a second."""
_SMALL, _PADDING = 64, 1.25
"""A block may be so large, or that much larger than the rows that are left, before they are divided further: reading a
weight takes longer than multiplying a few rows by it."""

_undivided = False
"""See `undivided`."""

_Tried = dict[int, torch.Tensor | None]
"""The row that a number of equal rows gave; None if they did not give the same."""


class Blocks(NamedTuple):
    """Numbers of rows that may be multiplied at a time."""

    sizes: tuple[int, ...]
    """Ascending; empty where all numbers that were tried from `least` to `most` give the same row."""
    any_threads: bool
    """Whether other numbers of threads give the same row."""
    least: int = _SIZES[0]
    """Fewer rows are padded to this number where `sizes` is empty."""
    most: int = _SIZES[-1]
    """The largest number that was tried."""


def multiply(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *, prefill: bool | None = None
) -> torch.Tensor:
    """Return `x @ weight.T + bias`.

    Args:
        x: `[..., in_features]`.
        weight: `[out_features, in_features]`, plain or packed (`pack`).
        bias: `[out_features]`.
        prefill: Whether the rows belong to prompts; by default `x` says so by its shape, see `is_prefill`.
    """
    if x.numel() == 0:
        return x.new_zeros(*x.shape[:-1], weight.shape[0])
    if x.device.type != "cpu" or x.dtype != weight.dtype:
        return linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    if _undivided:
        return _product(rows, weight, bias).view(*x.shape[:-1], -1)
    blocks = blocks_of(weight, prefill=is_prefill(x) if prefill is None else prefill)
    parts = [
        _product(rows[start : start + size] if start + size <= len(rows) else _padded(rows[start:], size), weight, bias)
        for start, size in _divide(len(rows), blocks)
    ]
    product = parts[0] if len(parts) == 1 else torch.cat(parts)
    return product[: len(rows)].view(*x.shape[:-1], -1)


@contextmanager
def undivided() -> Iterator[None]:
    """Multiply any number of rows at once: faster for few, and for those who need no equal bits."""
    global _undivided  # noqa: PLW0603 - a layer's forward cannot be told otherwise
    before, _undivided = _undivided, True
    try:
        yield
    finally:
        _undivided = before


def pack(weight: torch.Tensor) -> torch.Tensor:
    """Return a weight `[out_features, in_features]` in oneDNN's own layout; itself where it cannot be packed."""
    if weight.device.type != "cpu" or not _can_pack(weight.dtype):
        return weight
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)  # noqa: SLF001
    return packed


def is_prefill(x: torch.Tensor) -> bool:
    """Return whether an input `[sequences, tokens, features]` has more tokens of a sequence than a decoding step."""
    return x.dim() > 2 and x.shape[-2] > FEW_TOKENS  # noqa: PLR2004 - as said


def blocks_of(weight: torch.Tensor, *, prefill: bool) -> Blocks:
    """Return the blocks for a weight's shape, with torch's present number of threads."""
    shape = (*weight.shape, *weight.stride(), weight.dtype, torch.get_num_threads(), prefill)
    if shape not in _known():
        with torch.inference_mode():
            _known()[shape] = _find_blocks(weight.detach(), prefill=prefill)
    return _known()[shape]


def threads_matter() -> bool:
    """Whether a product that has been made so far could not be given the bits of one thread."""
    return any(not blocks.any_threads for blocks in _known().values())


@cache
def _known() -> dict[tuple[object, ...], Blocks]:
    return {}


def _divide(count: int, blocks: Blocks) -> Iterator[tuple[int, int]]:
    """Divide rows into blocks: the first row and the size of each; the last block may reach beyond the end."""
    start, sizes = 0, blocks.sizes
    while start < count:
        left = count - start
        size = next((size for size in sizes if left <= size <= max(_SMALL, _PADDING * left)), 0)
        if not sizes:
            size = min(max(left, blocks.least), blocks.most)
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


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch packs weights of this dtype, and multiplies by them; tested once, like `_onednn_works`."""
    if not _onednn_works(dtype):
        return False
    rows = torch.eye(2, 32, dtype=dtype)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(rows, None)  # noqa: SLF001
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(_product(rows, packed, None), rows @ rows.t())


def _find_blocks(weight: torch.Tensor, *, prefill: bool) -> Blocks:
    """Choose a size whose bits no number of threads changes, and all other sizes that give them."""
    sizes = _PREFILL_SIZES if prefill else _SIZES
    own, usual = torch.get_num_threads(), {1, 2, _cores()}
    try:
        tried = {threads: _try(weight, sizes, threads) for threads in {*usual, own}}
    finally:
        torch.set_num_threads(own)
    standard = [tried[threads] for threads in usual]  # not the present threads, which must not change the choice
    most = max(tried[1])
    every = [row for one in tried.values() for row in one.values()]
    if not prefill and all(_same(row, every[0]) for row in every):
        return Blocks((), any_threads=True, most=most)
    agreed = [size for size in sizes if all(_same(one.get(size), tried[1].get(size)) for one in standard)]
    if prefill and not agreed:
        return blocks_of(weight, prefill=False)
    standard_size = (
        max(agreed) if prefill else next((size for size in _DECODE_SIZES if size in agreed), _DECODE_SIZES[-1])
    )
    bits = tried[1][standard_size]
    any_threads = all(_has(one, bits) for one in tried.values())
    if not prefill and all(
        _same(row, bits) for one in tried.values() for size, row in one.items() if size >= _ODD_SIZES[0]
    ):
        return Blocks((), any_threads=any_threads, least=_ODD_SIZES[0], most=most)
    fitting = tuple(size for size in sizes if _same(tried[own].get(size), bits))
    return Blocks(fitting or (standard_size,), any_threads=any_threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _try(weight: torch.Tensor, sizes: tuple[int, ...], threads: int) -> _Tried:
    row = torch.randn(1, weight.shape[1], generator=torch.Generator().manual_seed(0)).to(weight.dtype)
    largest = max(_PREFILL_SIZES[0], _MOST_WORK // weight.numel())
    torch.set_num_threads(1)
    bias = _revealing_bias(row, weight)
    torch.set_num_threads(threads)
    products = {
        size: _product(row.expand(size, -1).contiguous(), weight, bias)
        for size in (*sizes, *_ODD_SIZES)
        if size <= largest
    }
    return {size: one[0] if torch.equal(one, one[:1].expand_as(one)) else None for size, one in products.items()}


def _revealing_bias(row: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
    """Return a float32 bias that takes a product away but for its last bits, which rounding would hide."""
    if not _onednn_works(weight.dtype):
        return None
    rows = row.expand(_DECODE_SIZES[-1], -1).contiguous()
    bias = torch.zeros(weight.shape[0])
    for _ in range(2):
        bias -= _product(rows, weight, bias)[0].float()
    return bias


def _has(tried: _Tried, bits: torch.Tensor | None) -> bool:
    return any(_same(row, bits) for row in tried.values())


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other)
