"""Limits of time and memory of one program, and when a program that lacks CPU time may run longer.

The time limit is wall clock. A program that waited for a processor during most of it is not slow, and its result must
not depend on what else the machine does. Such a program continues until its CPU time reaches the limit, at most
`MAX_EXTENSION` times the limit in wall clock. A sleeping program is recognized by using no CPU time.
"""

from __future__ import annotations

import math
import resource
import time
from dataclasses import dataclass

LONGEST_S = 120.0
"""Longest time limit of a single program, unless the session's limit is above it."""
MOST_BYTES = 4 * 2**30
"""Largest memory limit of a single program, unless the session's limit is above it; evalplus gives it to all."""
MAX_EXTENSION = 4
"""Longest run of a starved program, in multiples of its limit."""
STARVATION_CHECK_S = 0.25
"""Interval in which a program beyond its limit is checked."""
MEMORY_RESERVE_BYTES = 32 * 2**20
"""Memory that a solver may use beyond its limit after a MemoryError, in order to report it."""

_USED_SHARE = 0.9
_LEAST_SHARE = 0.02  # what even one of fifty competing threads would get
_CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """Limits of one program, applied to a process before it runs any of the program's code."""

    timeout_s: float
    """Wall clock, enforced by the worker; the kernel enforces slightly more CPU time."""
    memory_bytes: int
    """Address space; where some of it is reserved, the part that is written to."""
    reserved_bytes: int = 0
    """Address space beyond the memory, for a runtime that reserves much more than it uses, as V8 does."""
    file_bytes: int = 16 * 2**20
    """Size of one file."""
    scratch_bytes: int = 64 * 2**20
    """Size of the temporary directory, where it is a file system of its own."""
    open_files: int = 64
    processes: int = 64
    """Threads and processes of one sandbox; applied only inside a user namespace, where nothing else is counted."""

    def apply(self, *, bound_processes: bool) -> None:
        """Limit the calling process and its descendants."""
        cpu_s = cpu_limit_s(self.timeout_s)
        # A solver is confined before its program and that program's own limits are known.
        longest_s = cpu_limit_s(max(self.timeout_s, LONGEST_S))
        space = self.memory_bytes + self.reserved_bytes
        most_bytes = space if self.reserved_bytes else max(space, MOST_BYTES)
        limits: dict[int, tuple[int, int]] = {
            resource.RLIMIT_AS: (space, most_bytes + MEMORY_RESERVE_BYTES),
            resource.RLIMIT_CPU: (cpu_s, longest_s + 1),
            resource.RLIMIT_FSIZE: (self.file_bytes, self.file_bytes),
            resource.RLIMIT_NOFILE: (self.open_files, self.open_files),
            resource.RLIMIT_CORE: (0, 0),
            resource.RLIMIT_MEMLOCK: (0, 0),
            resource.RLIMIT_MSGQUEUE: (0, 0),
        }
        if self.reserved_bytes:  # private writable pages, which V8 makes of its reserve as it needs them
            limits[resource.RLIMIT_DATA] = (self.memory_bytes, self.memory_bytes)
        if bound_processes:
            limits[resource.RLIMIT_NPROC] = (self.processes, self.processes)
        for kind, (soft, hard) in limits.items():
            _lower(kind, soft, hard)


def _lower(kind: int, soft: int, hard: int) -> None:
    """Set a resource limit, never above the present hard limit (which only root may raise)."""
    _, ceiling = resource.getrlimit(kind)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(kind, (soft, hard))


def cpu_limit_s(timeout_s: float) -> int:
    """Return the CPU time in seconds after which the kernel stops a program."""
    return math.ceil(timeout_s) + 1


def limit_program(timeout_s: float, memory_bytes: int) -> None:
    """Limit the calling process, which is confined already, to the CPU time and memory of the program that it gets."""
    cpu_s = cpu_limit_s(timeout_s)
    _lower(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    _lower(resource.RLIMIT_AS, memory_bytes, memory_bytes + MEMORY_RESERVE_BYTES)


def lift_memory_limit() -> None:
    """Raise the memory limit of the calling process by the reserve, so that a MemoryError can be reported."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def is_starved(*, used_s: float, gained_s: float, waited_s: float, limit_s: float) -> bool:
    """Return whether a program that used `used_s` of CPU time computes, but has not had the CPU time of its limit.

    It gained `gained_s` of CPU time in the `waited_s` of wall clock since the last check.
    """
    return used_s < _USED_SHARE * limit_s and gained_s >= _LEAST_SHARE * waited_s


def cpu_time_s(*pids: int) -> float:
    """Return the CPU time of processes that are not reaped yet; 0.0 where the kernel does not provide it."""
    try:
        # The clock of a process, as clock_getcpuclockid(3) composes it: a sandbox has no /proc.
        return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids)
    except OSError:
        return 0.0
