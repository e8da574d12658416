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

import numpy as np
import torch

_MAPS = Path("/proc/self/maps")
_PAGES = Path("/proc/self/pagemap")
_ENTRY_BYTES = 8
_OF_FILE, _SWAPPED, _PRESENT = np.uint64(1 << 61), np.uint64(1 << 62), np.uint64(1 << 63)
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
            _release(first, last)


class NewlyMapped:
    """The files that are mapped after this object was made, such as a checkpoint while it is being loaded."""

    def __init__(self) -> None:
        """Remember what is mapped already: libraries, and models in use."""
        self._before = {start for start, _ in _mapped_ranges()} if sys.platform == "linux" else None

    def release(self) -> None:
        """Release the pages of files mapped since then; none of a mapping in which anything has been changed.

        Whoever holds a mapped tensor finds the file's bytes again.
        """
        if self._before is None:
            return
        for start, end in _mapped_ranges():
            if start not in self._before and _is_unchanged(start, end):
                _release(start, end)


def _release(start: int, end: int) -> None:
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def _is_unchanged(start: int, end: int) -> bool:
    """Return whether no page of a mapped file differs from the file; False where the system does not tell.

    By the bits of pagemap (admin-guide/mm/pagemap.rst of Linux), which is ten times as fast as `smaps`: that is about
    all that is mapped.
    """
    try:
        with _PAGES.open("rb") as file:
            file.seek(start // mmap.PAGESIZE * _ENTRY_BYTES)
            bits = np.frombuffer(file.read((end - start) // mmap.PAGESIZE * _ENTRY_BYTES), dtype=np.uint64)
    except OSError:
        return False
    own = bits & (_PRESENT | _OF_FILE) == _PRESENT
    return len(bits) > 0 and not (own | (bits & _SWAPPED != 0)).any()


def _mapped_ranges() -> list[tuple[int, int]]:
    """Return the address ranges of mapped files."""
    lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    return [found for found in map(_range, lines) if found]


def _range(line: str) -> tuple[int, int] | None:
    """Read a line of proc(5)'s `maps`: a mapped file has an inode other than 0, in the fifth column."""
    addresses, _, _, _, inode = line.split(maxsplit=5)[:5]
    if inode == "0":
        return None
    start, _, end = addresses.partition("-")
    return int(start, 16), int(end, 16)
