"""When a program's time is up on a machine that is busy with something else: with the model, for instance.

The limit is wall clock. But a program that has waited for a processor for most of it is not slow, and whether it counts
as solved must not depend on what else the machine does. Such a program goes on until it has used the limit as CPU time,
up to a fixed multiple of the limit; a program that sleeps is told apart by using no CPU time at all.
"""

from __future__ import annotations

import struct
import time

__all__ = ["CHECK_S", "MAX_FACTOR", "TIMEOUT", "cpu_time_s", "is_starved"]

TIMEOUT = struct.Struct(">d")
"""How a worker is told a program's limit in seconds, together with the judge's descriptor."""

MAX_FACTOR = 4
"""No program runs longer than this many times its limit."""
CHECK_S = 0.25
"""How often a program beyond its limit is looked at."""

_USED_SHARE = 0.9
_LEAST_SHARE = 0.02  # what even one of fifty competing threads would get
_CPUCLOCK_SCHED = 2


def is_starved(*, used_s: float, gained_s: float, waited_s: float, limit_s: float) -> bool:
    """Return whether a program deserves more time.

    Args:
        used_s: CPU time of the program so far.
        gained_s: CPU time of the program since it was looked at last, `waited_s` ago.
        waited_s: wall clock since then.
        limit_s: the program's limit.
    """
    return used_s < _USED_SHARE * limit_s and gained_s >= _LEAST_SHARE * waited_s


def cpu_time_s(*pids: int) -> float:
    """Return the CPU time of processes that are not reaped yet; 0.0 where the kernel does not tell."""
    try:
        # The clock of a process, as clock_getcpuclockid(3) composes it: /proc is not there in a sandbox.
        return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids)
    except OSError:
        return 0.0
