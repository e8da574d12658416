"""Weights that are pages of a mapped file: given back as soon as a layer has been replaced.

transformers maps safetensors files into memory. A replaced weight's pages would stay resident until the last tensor of
the file is gone, so that a quantized model would be held beside the floating-point one.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from bisect import bisect_right
from pathlib import Path

import torch

__all__ = ["MappedFiles"]

_MAPS = Path("/proc/self/maps")
_MADV_DONTNEED = 4


class MappedFiles:
    """The files that this process has mapped by now; none where the system does not tell (anywhere but on Linux)."""

    def __init__(self) -> None:
        """Look them up."""
        self._ranges = sorted(_mappings()) if sys.platform == "linux" else []

    def release(self, tensor: torch.Tensor) -> None:
        """Return back the pages that lie wholly within a tensor, when they are a file's.

        Whoever reads the tensor afterwards finds the file's bytes there again; memory that is no file's is left alone.
        """
        start, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        at = bisect_right(self._ranges, (start, sys.maxsize)) - 1
        if tensor.device.type != "cpu" or at < 0 or end > self._ranges[at][1]:
            return
        page = mmap.PAGESIZE
        first, last = -(-start // page) * page, end // page * page
        if last > first:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_DONTNEED)


def _mappings() -> list[tuple[int, int]]:
    """Return the address ranges that are mapped files: those whose inode is not 0, in the fifth column of proc(5)."""
    ranges = []
    for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, _, _, _, inode = line.split(maxsplit=5)[:5]
        if inode != "0":
            start, _, end = addresses.partition("-")
            ranges.append((int(start, 16), int(end, 16)))
    return ranges
