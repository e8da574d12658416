"""Watch what else the machine does while something is timed.

Linux tells in `/proc/stat` how long all processors were busy and how much the hypervisor took, and in `/sys` the clock
frequency and how often heat slowed a core down. Load averages are of the last minute and count this process as well, so
they are not used. Where the system does not tell, the figure is None, which disturbs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_qeval.measure.timing_facts import Contention

_ROOT = Path("/")
_TICKS_PER_S = 100
"""Of `/proc/stat`, on all of Linux's architectures that Python runs on (USER_HZ)."""
_USER, _NICE, _SYSTEM, _STEAL = 0, 1, 2, 7
"""Places in a line of `/proc/stat`; time of interrupts belongs to no process."""


def own_cpu_s() -> float:
    """Return the processor time of this process and of all that it has started, in seconds."""
    import psutil  # noqa: PLC0415 - only when the plugin is active

    me, total = psutil.Process(), 0.0
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.Error):  # it has just ended
            times = process.cpu_times()
            total += sum(times[:4])  # user and system, own and of children that have ended
    return total


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    own_s: float
    cores: int
    busy_s: float | None
    stolen_s: float | None
    frequency: float | None
    throttled: int | None


class Watch:
    """Compares the machine before and after a block."""

    def __init__(
        self,
        *,
        root: Path = _ROOT,
        own_s: Callable[[], float] = own_cpu_s,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where `/proc` and `/sys` are, what this process's tree has used, and a clock."""
        self._root, self._own_s, self._clock = root, own_s, clock
        self._before: _Look | None = None

    def start(self) -> None:
        """Begin a block."""
        self._before = self._look()

    def stop(self) -> Contention:
        """End the block, and return what disturbed it.

        Raises:
            RuntimeError: without a block.
        """
        before, after = self._before, self._look()
        if before is None:
            raise RuntimeError("there is no block to end")
        self._before, duration = None, max(after.at - before.at, 1e-9)
        own = after.own_s - before.own_s
        return Contention(
            duration_s=duration,
            cores=after.cores,
            others=_share(before.busy_s, after.busy_s, duration * after.cores, less=own),
            stolen=_share(before.stolen_s, after.stolen_s, duration * after.cores),
            frequency=after.frequency / before.frequency if after.frequency and before.frequency else None,
            throttled=None
            if before.throttled is None or after.throttled is None
            else max(0, after.throttled - before.throttled),
        )

    def _look(self) -> _Look:
        lines = [line.split() for line in _read(self._root / "proc/stat").splitlines() if line.startswith("cpu")]
        ticks = [int(word) for word in lines[0][1:]] if lines else []
        return _Look(
            at=self._clock(),
            own_s=self._own_s(),
            cores=max(1, len(lines) - 1),
            busy_s=sum(ticks[place] for place in (_USER, _NICE, _SYSTEM)) / _TICKS_PER_S if ticks else None,
            stolen_s=ticks[_STEAL] / _TICKS_PER_S if len(ticks) > _STEAL else None,
            frequency=self._frequency(),
            throttled=self._throttled(),
        )

    def _frequency(self) -> float | None:
        found = self._numbers("cpufreq/scaling_cur_freq")
        return sum(found) / len(found) if found else None

    def _throttled(self) -> int | None:
        found = self._numbers("thermal_throttle/core_throttle_count")
        return sum(found) if found else None

    def _numbers(self, name: str) -> list[int]:
        words = (_read(path).strip() for path in (self._root / "sys/devices/system/cpu").glob(f"cpu[0-9]*/{name}"))
        return [int(word) for word in words if word.isdigit()]


def _share(before: float | None, after: float | None, capacity_s: float, *, less: float = 0.0) -> float | None:
    if before is None or after is None:
        return None
    return min(1.0, max(0.0, (after - before - less) / capacity_s))


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace")
    return ""
