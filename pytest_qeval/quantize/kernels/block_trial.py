"""Try by which numbers of rows a weight may be multiplied, so that a row's product has the same bits by each of them.

Only numbers that were tried are used. What holds for most numbers need not hold for the next one: a weight of 896 × 896
in bfloat16, on two threads with AMX, gives one row by 33 to 640 rows, but another one by 448 and 480 (torch 2.13).
"""

from __future__ import annotations

import os

import torch

from pytest_qeval.quantize.kernels.onednn_product import onednn_works, product

_SIZES = (2, 8, 32, 33, 64, 128, 256, 512)
_PREFILL_SIZES = (64, 96, 128, 192, 256, 384, 512)
_DECODE_SIZES = (64, 32)
"""Sizes that may decide on the bits of a decoding step: the first one on which numbers of threads agree does.

With AMX, 32 shares its bits with all smaller sizes, and 64, mostly, with all larger ones. 64 comes first: wide
steps gain more by it than steps of fewer than 33 rows, which are padded, lose (`linear.py --blocks`)."""
_MOST_WORK = 2**35
"""Multiplications of the largest product that is tried: some tenths of a second."""
_SMALL, _PADDING = 64, 1.25
"""A block may be so large, or that much larger than the rows that are left, before they are divided further: reading a
weight takes longer than multiplying a few rows by it."""
_FEW, _STEP = 32, 16
"""Up to so many rows every number is tried when it is first met, then the multiples of the step."""

_Tried = dict[int, torch.Tensor | None]
"""The row that a number of equal rows gave; None if they did not give the same."""


class Blocks:
    """The numbers of rows by which weights of one shape may be multiplied on a number of threads."""

    def __init__(self, sizes: tuple[int, ...], *, any_threads: bool, open_ended: bool) -> None:
        """Take sizes that gave the same row, ascending.

        `any_threads` says whether other numbers of threads give it, too. Where `open_ended`, other sizes between the
        smallest and the largest one are tried when they are met.
        """
        self.any_threads = any_threads
        self._sizes, self._open_ended = sizes, open_ended
        self._tried = dict.fromkeys(sizes, True)

    def size_for(self, rows: int, weight: torch.Tensor) -> int:
        """Return the next block's size for so many rows that are left: more than they are if they are to be padded."""
        near = rows if rows <= _FEW else -(-rows // _STEP) * _STEP
        if self._sizes[0] <= near <= self._sizes[-1] and self._agrees(near, weight):
            return near
        padded = next((size for size in self._sizes if rows <= size <= max(_SMALL, _PADDING * rows)), 0)
        return padded or max((size for size in self._sizes if size <= rows), default=self._sizes[0])

    def _agrees(self, size: int, weight: torch.Tensor) -> bool:
        if size not in self._tried:
            probe = _Probe(weight) if self._open_ended else None
            self._tried[size] = probe is not None and _same(
                probe.try_size(weight, size), probe.try_size(weight, self._sizes[0])
            )
        return self._tried[size]


class _Probe:
    """A row, and a float32 bias that takes its product away but for its last bits, which rounding would hide."""

    def __init__(self, weight: torch.Tensor) -> None:
        generator = torch.Generator().manual_seed(0)
        self._row = torch.randn(1, weight.shape[1], generator=generator).to(weight.dtype)
        self._bias: torch.Tensor | None = None
        if not onednn_works(weight.dtype):
            return
        rows = self._row.expand(_DECODE_SIZES[-1], -1).contiguous()
        bias = torch.zeros(weight.shape[0])
        for _ in range(2):
            bias -= product(rows, weight, bias)[0].float()
        self._bias = bias

    def try_size(self, weight: torch.Tensor, size: int) -> torch.Tensor | None:
        """Return what so many equal rows give, on torch's present number of threads; None if they do not agree."""
        result = product(self._row.expand(size, -1).contiguous(), weight, self._bias)
        return result[0].clone() if torch.equal(result, result[:1].expand_as(result)) else None


@torch.inference_mode()
def find_blocks(weight: torch.Tensor, *, prefill: bool) -> Blocks:
    """Choose a size whose bits no number of threads changes, and all other sizes that give them.

    Args:
        weight: [out_features, in_features], plain or packed.
        prefill: Whether rows belong to prompts. Steps and prefills need not agree.
    """
    sizes = _PREFILL_SIZES if prefill else _SIZES
    own, usual = torch.get_num_threads(), {1, 2, _cores()}
    try:
        torch.set_num_threads(1)
        probe = _Probe(weight)
        tried = {threads: _try(probe, weight, sizes, threads) for threads in {*usual, own}}
    finally:
        torch.set_num_threads(own)
    standard = [tried[threads] for threads in usual]  # not the present threads, which must not change the choice
    agreed = [size for size in sizes if all(_same(one.get(size), tried[1].get(size)) for one in standard)]
    if prefill and not agreed:
        return find_blocks(weight, prefill=False)
    best = max(agreed) if prefill else next((size for size in _DECODE_SIZES if size in agreed), _DECODE_SIZES[-1])
    bits = tried[1][best]
    return Blocks(
        tuple(size for size in sizes if _same(tried[own].get(size), bits)) or (best,),
        any_threads=all(any(_same(row, bits) for row in one.values()) for one in tried.values()),
        open_ended=not prefill and bits is not None,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _try(probe: _Probe, weight: torch.Tensor, sizes: tuple[int, ...], threads: int) -> _Tried:
    largest = max(_PREFILL_SIZES[0], _MOST_WORK // max(1, weight.numel()))
    torch.set_num_threads(threads)
    return {size: probe.try_size(weight, size) for size in sizes if size <= largest}


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other)
