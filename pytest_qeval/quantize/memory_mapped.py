"""Release the pages of memory-mapped weights as soon as a layer has been replaced.

transformers maps safetensors files into memory. Without this, the pages of a replaced weight stay resident until the
last tensor of the file is gone, and the quantized model is held beside the floating-point one.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import torch

_MAPS = Path("/proc/self/maps")
_PAGES = Path("/proc/self/smaps")
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
        for start, end in _unchanged_ranges():
            if start not in self._before:
                _release(start, end)


def _release(start: int, end: int) -> None:
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def _unchanged_ranges() -> Iterator[tuple[int, int]]:
    """Yield the mapped files of which no page differs from the file, by `Anonymous` in proc(5)."""
    current = None
    for line in _PAGES.read_text(encoding="utf-8", errors="replace").splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            current = _range(line)
        elif first == "Anonymous:" and rest[0] == "0" and current:
            yield current


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
