"""Sample this process's resident memory, private, mapped and shared apart, which the high-water mark does not tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_STATUS = Path("/proc/self/status")
_FIELDS = ("RssAnon", "RssFile", "RssShmem")
_INTERVAL_S = 0.01


class Resident(NamedTuple):
    """Resident bytes at one moment."""

    private: int
    """Anonymous pages."""
    mapped: int
    """Pages of mapped files."""
    shared: int
    """Shared memory."""

    @property
    def total(self) -> int:
        """The resident size."""
        return sum(self)


def read_resident(status: Path = _STATUS) -> Resident:
    """Return what is resident now; zeros where the system does not say (Linux before 4.5, other systems)."""
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return Resident(0, 0, 0)
    found = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in lines)
        if name in _FIELDS
    }
    return Resident(*(found.get(name, 0) for name in _FIELDS))


class MemorySampler:
    """Samples in a thread of its own, between `start` and `stop`."""

    def __init__(
        self, *, read: Callable[[], Resident] = read_resident, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Take where samples and times come from."""
        self._read, self._clock = read, clock
        self._samples: list[tuple[float, Resident]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin, with a first sample."""
        self.sample()
        self._thread.start()

    def stop(self) -> None:
        """End, with a last sample."""
        self._stop.set()
        self._thread.join()
        self.sample()

    def sample(self) -> None:
        """Take one sample now."""
        self._samples.append((self._clock(), self._read()))

    def largest(self, start: float, end: float) -> Resident:
        """Return the largest sample between two times; of a shorter stretch than the interval, the nearest one."""
        inside = [found for at, found in self._samples if start <= at <= end]
        nearest = min(self._samples, key=lambda one: min(abs(one[0] - start), abs(one[0] - end)))[1]
        return max(inside, key=lambda found: found.total, default=nearest)

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self.sample()
