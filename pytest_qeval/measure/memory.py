"""Peak resident memory of this process, from the kernel's own high-water mark rather than from sampling."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from weakref import WeakSet

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): writing 5 resets VmHWM to the current resident size


class PeakMemory:
    """The highest resident size since this object was made.

    Linux only: elsewhere there is no high-water mark that can be reset, and `read` returns None. All objects share one
    mark: a later object resets it, and earlier ones remember its value.
    """

    _alive: ClassVar[WeakSet[PeakMemory]] = WeakSet()

    def __init__(self) -> None:
        """Reset the high-water mark."""
        self._before = 0
        mark = _high_water()
        for earlier in self._alive:
            earlier._before = max(earlier._before, mark or 0)  # noqa: SLF001 - of the same class
        try:
            _CLEAR.write_text(_RESET_PEAK)
        except OSError:
            self._resettable = False
        else:
            self._resettable = True
            self._alive.add(self)

    def read(self) -> int | None:
        """Return the peak in bytes, or None where there is no mark."""
        mark = _high_water() if self._resettable else None
        return None if mark is None else max(mark, self._before)


def _high_water() -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
