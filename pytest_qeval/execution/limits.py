"""How much a program may use; applied to a process once, before any of its code runs."""

from __future__ import annotations

import math
import resource
from dataclasses import dataclass

__all__ = ["LONGEST_S", "MEMORY_RESERVE_BYTES", "Limits", "allow_cpu_time", "allow_reserve", "cpu_limit_s"]

LONGEST_S = 120.0
"""No program is given more seconds than this, unless the session's own limit is above it."""

MEMORY_RESERVE_BYTES = 32 * 2**20
"""What a solver may take beyond its limit after a MemoryError, in order to report it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one program."""

    timeout_s: float
    """Wall clock, enforced by the worker (see `patience`); CPU time, enforced by the kernel, is a little more."""
    memory_bytes: int
    """Address space."""
    file_bytes: int = 16 * 2**20
    """Size of one file."""
    scratch_bytes: int = 64 * 2**20
    """Size of the temporary directory, where it is a file system of its own."""
    open_files: int = 64
    processes: int = 64
    """Threads and processes of one sandbox; only inside a user namespace, where nobody else is counted."""

    def apply(self, *, bound_processes: bool) -> None:
        """Limit the calling process and its descendants."""
        cpu_s = cpu_limit_s(self.timeout_s)
        # A solver is confined before it is known which program it gets, and how long that may take.
        most_s = cpu_limit_s(max(self.timeout_s, LONGEST_S))
        wanted: dict[int, tuple[int, int]] = {
            resource.RLIMIT_AS: (self.memory_bytes, self.memory_bytes + MEMORY_RESERVE_BYTES),
            resource.RLIMIT_CPU: (cpu_s, most_s + 1),
            resource.RLIMIT_FSIZE: (self.file_bytes, self.file_bytes),
            resource.RLIMIT_NOFILE: (self.open_files, self.open_files),
            resource.RLIMIT_CORE: (0, 0),
            resource.RLIMIT_MEMLOCK: (0, 0),
            resource.RLIMIT_MSGQUEUE: (0, 0),
        }
        if bound_processes:
            wanted[resource.RLIMIT_NPROC] = (self.processes, self.processes)
        for name, (soft, hard) in wanted.items():
            _lower(name, soft, hard)


def _lower(name: int, soft: int, hard: int) -> None:
    """Set a limit, never above the one that is already there (which only root may raise)."""
    _, ceiling = resource.getrlimit(name)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(name, (soft, hard))


def cpu_limit_s(timeout_s: float) -> int:
    """Return the CPU time after which the kernel stops a program that its worker has not."""
    return math.ceil(timeout_s) + 1


def allow_cpu_time(timeout_s: float) -> None:
    """Let the calling process take as long as its program may, and no longer."""
    cpu_s = cpu_limit_s(timeout_s)
    _lower(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)


def allow_reserve() -> None:
    """Lift the calling process's memory limit to the reserve, so that a MemoryError can be reported."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
