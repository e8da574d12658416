"""Limits of time and memory of one program, and when a program that lacks CPU time may run longer.

The time limit is wall clock. A program that waited for a processor during most of it is not slow, and its result must
not depend on what else the machine does. Such a program continues until its CPU time reaches the limit, at most
`MAX_EXTENSION` times the limit in wall clock. A sleeping program is recognized by using no CPU time.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
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

SCRATCH_BYTES = 64 * 2**20
"""Size of the temporary directory of a program."""
SCRATCH_FILES = SCRATCH_BYTES // 2**14
"""Files and directories in it."""

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
    scratch_bytes: int = SCRATCH_BYTES
    """Size of the temporary directory: of its file system, or checked now and then where it has none of its own."""
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
        limits: dict[str, tuple[int, int]] = {
            "AS": (space, most_bytes + MEMORY_RESERVE_BYTES),
            "CPU": (cpu_s, longest_s + 1),
            "FSIZE": (self.file_bytes, self.file_bytes),
            "NOFILE": (self.open_files, self.open_files),
            "CORE": (0, 0),
            "MEMLOCK": (0, 0),
            "MSGQUEUE": (0, 0),
        }
        if self.reserved_bytes:  # private writable pages, which V8 makes of its reserve as it needs them
            limits["DATA"] = (self.memory_bytes, self.memory_bytes)
        if bound_processes:
            limits["NPROC"] = (self.processes, self.processes)
        for name, (soft, hard) in limits.items():
            _lower(name, soft, hard)


def _lower(name: str, soft: int, hard: int) -> None:
    """Set a resource limit, never above the present hard limit (which only root may raise)."""
    kind = getattr(resource, f"RLIMIT_{name}", None)
    if kind is None:  # each system has some of them
        return
    _, ceiling = resource.getrlimit(kind)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    _set(kind, soft, hard)


def _set(kind: int, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(kind, (soft, hard))
    except (OSError, ValueError):
        if sys.platform == "linux" or kind != resource.RLIMIT_AS:  # macOS refuses it: its processes map far more
            raise


def bounds_memory() -> bool:
    """Return whether the kernel keeps a process to its address space, as a child process finds out."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
            bytearray(2**30)
        except MemoryError:
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def cpu_limit_s(timeout_s: float) -> int:
    """Return the CPU time in seconds after which the kernel stops a program."""
    return math.ceil(timeout_s) + 1


def limit_program(timeout_s: float, memory_bytes: int) -> None:
    """Limit the calling process, which is confined already, to the CPU time and memory of the program that it gets."""
    cpu_s = cpu_limit_s(timeout_s)
    _lower("CPU", cpu_s, cpu_s + 1)
    _lower("AS", memory_bytes, memory_bytes + MEMORY_RESERVE_BYTES)
    if sys.platform != "linux":  # there it dies with its worker; elsewhere it must not sleep on if that is killed
        signal.setitimer(signal.ITIMER_REAL, 2 * MAX_EXTENSION * timeout_s)


def lift_memory_limit() -> None:
    """Raise the memory limit of the calling process by the reserve, so that a MemoryError can be reported."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    _set(resource.RLIMIT_AS, hard, hard)


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
