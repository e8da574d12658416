"""Tell from an exception that memory ran out, on a GPU or in the machine."""

from __future__ import annotations

import torch

_CPU = "can't allocate memory"
"""What torch's allocator for the CPU says; its exception is no narrower than RuntimeError (torch 2.13)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether less work at a time may help."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _CPU in str(error)
