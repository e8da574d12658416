"""Peak resident memory of this process, from the kernel's own high-water mark rather than from sampling."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PeakMemory"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): writing 5 resets VmHWM to the current resident size


class PeakMemory:
    """The highest resident size since this object was made.

    Linux only: elsewhere there is no high-water mark that can be reset, and `read` gives None.
    """

    def __init__(self) -> None:
        """Reset the high-water mark."""
        try:
            _CLEAR.write_text(_RESET_PEAK)
        except OSError:
            self._resettable = False
        else:
            self._resettable = True

    def read(self) -> int | None:
        """Give the high-water mark in bytes, or None where it cannot be had."""
        if not self._resettable:
            return None
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None
