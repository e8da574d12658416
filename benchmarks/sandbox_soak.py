"""Put many trivial programs through a pool of sandboxes, and look for what it leaks.

    python benchmarks/sandbox_soak.py [--programs 10000] [--workers 2] [bwrap namespace landlock process]

Prints for each isolation that works here what there is before, halfway and after: processes and descriptors of this
process and its workers, files in the temporary directory, resident memory of this process and of its workers; and the
programs per second, and per second of CPU time, which changes little on a busy machine. All counts halfway and after
have to be equal while the pool is open, and those before and at the end when it is closed.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, get_args

import psutil

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Program
from pytest_qeval.settings import ExecutionSettings, IsolationName

_TRIVIAL = Program(
    prelude="",
    code="def add(a, b):\n    return a + b\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n",
    entry_point="add",
)
_AT_A_TIME = 500
_SETTLING_S = 0.5
"""Until every worker has a new solver."""


class _Counts(NamedTuple):
    """What a leak would add to."""

    processes: int
    """Below this one."""
    descriptors: int
    """Of this process and those below."""
    files: int
    own_mib: float
    workers_mib: float
    """Of all processes below; memory that they share counts for each."""


def count(folder: Path) -> _Counts:
    """Count what there is now."""
    time.sleep(_SETTLING_S)
    this = psutil.Process()
    below = this.children(recursive=True)
    descriptors = this.num_fds()
    for process in below:
        with contextlib.suppress(psutil.Error):
            descriptors += process.num_fds()
    workers_bytes = 0
    for process in below:
        with contextlib.suppress(psutil.Error):
            workers_bytes += process.memory_info().rss
    own_mib = this.memory_info().rss / 2**20
    return _Counts(len(below), descriptors, sum(1 for _ in folder.rglob("*")), own_mib, workers_bytes / 2**20)


def soak(isolation: IsolationName, folder: Path, *, programs: int, workers: int) -> None:
    """Run the programs, and print the counts on the way."""
    _show(isolation, "before", count(folder))
    with SandboxPool(ExecutionSettings(isolation=isolation, workers=workers)) as pool:
        _run(pool, 50 * workers)
        cpu_before_s, begun = _cpu_s(), time.perf_counter()
        _show(isolation, "warm", count(folder))
        _run(pool, programs // 2)
        _show(isolation, "halfway", count(folder))
        _run(pool, programs - programs // 2)
        elapsed_s, cpu_s = time.perf_counter() - begun, _cpu_s() - cpu_before_s
        _show(isolation, "after", count(folder))
    _show(isolation, "closed", count(folder))
    rate = f"{programs / elapsed_s:.0f} programs a second by {workers} sandboxes"
    print(f"{isolation:10} {rate}; {1000 * cpu_s / programs:.1f} ms of CPU time each")


def _run(pool: SandboxPool, programs: int) -> None:
    for start in range(0, programs, _AT_A_TIME):
        futures = [pool.submit(_TRIVIAL) for _ in range(min(_AT_A_TIME, programs - start))]
        if failed := [one for one in (future.result() for future in futures) if one.status != "passed"]:
            raise SystemExit(f"a trivial program did not pass: {failed[0]}")


def _cpu_s() -> float:
    """Return the CPU time of this process and of all below, ended ones of the workers included."""
    this = psutil.Process()
    times = [this.cpu_times(), *(one.cpu_times() for one in this.children(recursive=True))]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def _show(isolation: str, when: str, counts: _Counts) -> None:
    print(
        f"{isolation:10} {when:8} {counts.processes:3} processes  {counts.descriptors:4} descriptors  "
        f"{counts.files:3} files  {counts.own_mib:7.1f} MiB own  {counts.workers_mib:7.1f} MiB workers",
        flush=True,
    )


def main() -> None:
    """Soak each isolation that works here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    isolations = [name for name in get_args(IsolationName) if name != "auto"]
    parser.add_argument("isolations", nargs="*", metavar="ISOLATION", default=isolations)
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for isolation in options.isolations:
        if isolation not in isolations:
            parser.error(f"unknown isolation {isolation!r}")
        with tempfile.TemporaryDirectory() as folder:
            tempfile.tempdir = folder
            try:
                soak(isolation, Path(folder), programs=options.programs, workers=options.workers)
            except SandboxError as error:
                print(f"{isolation:10} not available: {error}")
            finally:
                tempfile.tempdir = None


if __name__ == "__main__":
    main()
