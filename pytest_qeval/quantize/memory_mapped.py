"""Release the pages of memory-mapped weights as soon as a layer has been replaced.

transformers maps safetensors files into memory. Without this, the pages of a replaced weight stay resident until the
last tensor of the file is gone, and the quantized model is held beside the floating-point one.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from bisect import bisect_right
from pathlib import Path

import torch

_MAPS = Path("/proc/self/maps")
_MADV_DONTNEED = 4


class MappedFiles:
    """The files that this process has mapped at the moment; empty except on Linux."""

    def __init__(self) -> None:
        """Read the process's memory map."""
        self._ranges = sorted(_mapped_ranges()) if sys.platform == "linux" else []

    def release(self, tensor: torch.Tensor) -> None:
        """Release the pages that lie wholly within a tensor, if they belong to a mapped file.

        Whoever reads the tensor afterwards finds the file's bytes again. Other memory is left alone.
        """
        start, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        at = bisect_right(self._ranges, (start, sys.maxsize)) - 1
        if tensor.device.type != "cpu" or at < 0 or end > self._ranges[at][1]:
            return
        page = mmap.PAGESIZE
        first, last = -(-start // page) * page, end // page * page
        if last > first:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_DONTNEED)


def _mapped_ranges() -> list[tuple[int, int]]:
    """Return the address ranges of mapped files: those with an inode other than 0, in the fifth column of proc(5)."""
    ranges = []
    for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, _, _, _, inode = line.split(maxsplit=5)[:5]
        if inode != "0":
            start, _, end = addresses.partition("-")
            ranges.append((int(start, 16), int(end, 16)))
    return ranges
