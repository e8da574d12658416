"""What share of a run does metering take?

    python benchmarks/meter.py --qeval-model=DIR --qeval-recipe int8 --qeval-suite humaneval --qeval-limit 40

Runs pytest with these arguments in this process, and adds up the wall and CPU seconds that are spent in the energy
meter and in watching for contention. Making the meter is counted apart: it happens once, and imports codecarbon.
CPU seconds are those of the thread that meters, so nothing that happens beside it is counted.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_qeval.measure.contention import Watch
from pytest_qeval.measure.energy import EnergyMeter

_METHODS = ((EnergyMeter, "prepare"), (EnergyMeter, "start"), (EnergyMeter, "stop"), (EnergyMeter, "poll"),
            (EnergyMeter, "close"), (Watch, "start"), (Watch, "stop"))  # fmt: skip


@dataclass
class Spent:
    """What one method took, in all its calls."""

    calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


class Stopwatch:
    """Times methods, each without those that it calls and that are timed as well."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.spent: dict[str, Spent] = {}
        self._inner = [Spent()]

    def timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method, timed."""
        total = self.spent.setdefault(name, Spent())

        @functools.wraps(method)
        def call(*arguments: Any, **named: Any) -> Any:
            self._inner.append(Spent())
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return method(*arguments, **named)
            finally:
                wall_s, cpu_s = time.perf_counter() - wall, time.thread_time() - cpu
                inner = self._inner.pop()
                total.calls += 1
                total.wall_s += wall_s - inner.wall_s
                total.cpu_s += cpu_s - inner.cpu_s
                self._inner[-1].wall_s += wall_s
                self._inner[-1].cpu_s += cpu_s

        return call


def main() -> int:
    """Run, and print the table."""
    stopwatch = Stopwatch()
    for owner, method in _METHODS:
        setattr(owner, method, stopwatch.timed(f"{owner.__name__}.{method}", getattr(owner, method)))
    started = time.perf_counter()
    status = pytest.main(["-q", *sys.argv[1:]])
    whole_s = time.perf_counter() - started
    print(f"\n{'method':22} {'calls':>6} {'wall, s':>9} {'CPU, s':>9} {'of the run':>11}")
    for name, spent in stopwatch.spent.items():
        share = spent.wall_s / whole_s
        print(f"{name:22} {spent.calls:6} {spent.wall_s:9.3f} {spent.cpu_s:9.3f} {share:11.2%}")
    metering_s = sum(spent.wall_s for name, spent in stopwatch.spent.items() if name != "EnergyMeter.prepare")
    print(f"metering took {metering_s / whole_s:.2%} of {whole_s:.1f} s, without making the meter")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
