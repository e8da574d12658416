"""Workers of one run share the machine, and time recipes only while no other worker generates or executes anything.

Two files are locked with `flock`, which the kernel releases when a process ends, however it ends. Whoever works holds
the first one together with others. Whoever times a recipe takes the second one, at which others wait before their next
case, and then the first one alone. Both are always taken in the same order, so nobody waits in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


class SharedMachine:
    """One worker's part in it; without a folder, or without `flock`, there are no others."""

    def __init__(self, folder: Path | None, *, settle: Callable[[], None]) -> None:
        """Take the folder that the workers of a run share, and what waits until this worker's programs have ended."""
        self._flock = _flock() if folder else None
        self._settle = settle
        self._works = False
        if folder and self._flock:
            self._room, self._door = (
                os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600) for name in ("room", "door")
            )

    def work(self) -> None:
        """Work together with others from now on, until `rest`; whoever waits to be alone goes first."""
        flock = self._flock
        if flock is None or (self._works and not self._somebody_waits(flock)):
            return
        self.rest()
        flock.flock(self._door, flock.LOCK_SH)
        flock.flock(self._room, flock.LOCK_SH)
        flock.flock(self._door, flock.LOCK_UN)
        self._works = True

    def rest(self) -> None:
        """Stop working, once this worker's programs have ended."""
        self._settle()
        if self._flock and self._works:
            self._flock.flock(self._room, self._flock.LOCK_UN)
        self._works = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only worker that works."""
        self.rest()
        flock = self._flock
        if flock is None:
            yield
            return
        flock.flock(self._door, flock.LOCK_EX)
        flock.flock(self._room, flock.LOCK_EX)
        try:
            yield
        finally:
            flock.flock(self._room, flock.LOCK_UN)
            flock.flock(self._door, flock.LOCK_UN)

    def _somebody_waits(self, flock: ModuleType) -> bool:
        try:
            flock.flock(self._door, flock.LOCK_SH | flock.LOCK_NB)
        except OSError:
            return True
        flock.flock(self._door, flock.LOCK_UN)
        return False

    def close(self) -> None:
        """Let others go on; calling it twice is fine."""
        if self._flock:
            os.close(self._room)
            os.close(self._door)
        self._flock = None


def _flock() -> ModuleType | None:
    try:
        import fcntl  # noqa: PLC0415 - Unix only
    except ImportError:
        return None
    return fcntl
