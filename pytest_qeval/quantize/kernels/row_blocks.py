"""Floating-point products in which a row's result does not depend on the other rows, their number, or the threads.

A kernel chooses by the number of rows, and of threads, in what order it adds. oneDNN does so where it uses AMX: with a
weight of 896 × 4864 in bfloat16, 1 to 1024 rows on one or two threads give the same row in nine ways (torch 2.13); with
one of 4864 × 896 in two ways, up to 32 rows and from 33 on. MKL, torch's choice for float32, has three ways. oneDNN
without AMX has one, from two rows on.

Rows are therefore multiplied in blocks whose sizes are known to give the bits of one thread (`block_trial`). A decoding
step has its own sizes, small ones, and a prefill has the largest: each row of a prompt is always multiplied in the same
phase, so the two need not agree.

Weights are packed into oneDNN's own layout once. Otherwise oneDNN packs them again for every product
(`benchmarks/linear.py --blocks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch.nn.functional import linear, pad

from pytest_qeval.quantize.kernels.block_trial import Blocks, find_blocks
from pytest_qeval.quantize.kernels.onednn_product import product

FEW_TOKENS = 32
"""Tokens of a sequence up to which a call decodes; a prefill brings more (`engines.hf.forward`)."""

_undivided = False
"""See `undivided`."""


def multiply(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *, prefill: bool | None = None
) -> torch.Tensor:
    """Return `x @ weight.T + bias`.

    Args:
        x: `[..., in_features]`.
        weight: `[out_features, in_features]`, plain or packed (`onednn_product.pack`).
        bias: `[out_features]`.
        prefill: Whether the rows belong to prompts; by default `x` says so by its shape, see `is_prefill`.
    """
    if x.numel() == 0 or weight.shape[0] == 0:
        return x.new_zeros(*x.shape[:-1], weight.shape[0])
    if x.device.type != "cpu" or x.dtype != weight.dtype:
        return linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    if _undivided:
        return product(rows, weight, bias).view(*x.shape[:-1], -1)
    blocks = _blocks_of(weight, prefill=is_prefill(x) if prefill is None else prefill)
    parts = [product(block, weight, bias) for block in _divide(rows, weight, blocks)]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole[: len(rows)].view(*x.shape[:-1], -1)


@contextmanager
def undivided() -> Iterator[None]:
    """Multiply any number of rows at once: faster for few, and for those who need no equal bits."""
    global _undivided  # noqa: PLW0603 - a layer's forward cannot be told otherwise
    before, _undivided = _undivided, True
    try:
        yield
    finally:
        _undivided = before


def is_prefill(x: torch.Tensor) -> bool:
    """Return whether an input `[sequences, tokens, features]` has more tokens of a sequence than a decoding step."""
    return x.dim() > 2 and x.shape[-2] > FEW_TOKENS  # noqa: PLR2004 - as said


def threads_matter() -> bool:
    """Whether a product that has been made so far could not be given the bits of one thread."""
    return any(not blocks.any_threads for blocks in _known().values())


def _blocks_of(weight: torch.Tensor, *, prefill: bool) -> Blocks:
    """Return the blocks for a weight's shape, with torch's present number of threads."""
    shape = (*weight.shape, *weight.stride(), weight.dtype, torch.get_num_threads(), prefill)
    if shape not in _known():
        _known()[shape] = find_blocks(weight.detach(), prefill=prefill)
    return _known()[shape]


@cache
def _known() -> dict[tuple[object, ...], Blocks]:
    return {}


def _divide(rows: torch.Tensor, weight: torch.Tensor, blocks: Blocks) -> Iterator[torch.Tensor]:
    """Divide rows into blocks; the last one may be padded with zeros."""
    start = 0
    while start < len(rows):
        left = len(rows) - start
        size = blocks.size_for(left, weight)
        block = rows[start : start + size]
        yield block if size <= left else pad(block, (0, 0, 0, size - left))
        start += size
