"""Engines in processes of their own, and what each took, measured from outside and so alike for all.

A process that answers writes one line of JSON when it is ready for the first prompt, and one for every line that it is
given. CPU seconds and memory are those of the process and all that it started.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import psutil

ROOT = Path(__file__).parents[1]
LAUNCHER = (sys.executable, str(ROOT / "benchmarks" / "without_amx.py"))
"""Before a command that is to run without AMX."""
LIMIT_S = 3600.0
"""An engine that has not answered by then is ended."""
Answer = dict[str, Any]


class AnchorError(Exception):
    """An engine ended without an answer; the message names its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process and all that it started took for one answer, or until it was ready."""

    wall_s: float
    cpu_s: float


class RunningEngine(Protocol):
    """An engine that is ready for the first prompt."""

    process: psutil.Process
    start: Cost

    def ask(self, job: Answer) -> Answer:
        """Return the answer to one job: `prompts`, `stops`, `max_new_tokens`, `exact`."""
        ...


def measured(engine: RunningEngine, job: Answer) -> tuple[Answer, Cost]:
    """Ask an engine, and measure what the answer took."""
    cpu, started = tree_cpu_s(engine.process), time.perf_counter()
    answer = engine.ask(job)
    wall_s = time.perf_counter() - started
    return answer, Cost(wall_s=wall_s, cpu_s=tree_cpu_s(engine.process) - cpu)


def tree_cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds so far of a process, its living descendants, and those that have been waited for."""
    return sum(sum(one.cpu_times()[:4]) for one in _tree(process))


def tree_peak_bytes(process: psutil.Process) -> int:
    """Return the sum of the peak resident sizes of a process and its descendants: shared pages count twice."""
    return sum(_peak_bytes(one.pid) for one in _tree(process))


def _tree(process: psutil.Process) -> Iterator[psutil.Process]:
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            one.cpu_times()
            yield one


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


@contextmanager
def started(command: Sequence[str], log: Path, *, simulate: bool, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command with its messages in a log, without AMX if `simulate`, and end it with all that it started."""
    launcher = LAUNCHER if simulate else ()
    with log.open("w", encoding="utf-8") as messages:
        options = {"stdout": messages, **options}
        popen = subprocess.Popen([*launcher, *command], stderr=messages, cwd=ROOT, text=True, **options)
        try:
            yield popen
        finally:
            end(popen)


def end(popen: subprocess.Popen[str]) -> None:
    """End a process and its descendants: politely, then not."""
    everyone: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        everyone = list(_tree(psutil.Process(popen.pid)))
    if popen.stdin:
        with suppress(OSError):
            popen.stdin.close()  # those that answer end by themselves
        with suppress(subprocess.TimeoutExpired):
            popen.wait(20)
    for kill in (psutil.Process.terminate, psutil.Process.kill):
        for one in everyone:
            with suppress(psutil.NoSuchProcess):
                kill(one)
        _, everyone = psutil.wait_procs(everyone, timeout=10)
    popen.wait()


class Child:
    """A script that answers on its standard output."""

    def __init__(self, popen: subprocess.Popen[str], log: Path, began: float) -> None:
        """Wait until it is ready."""
        self.popen, self.log = popen, log
        self.process = psutil.Process(popen.pid)
        self.about = self._line()
        self.start = Cost(wall_s=time.perf_counter() - began, cpu_s=tree_cpu_s(self.process))

    def ask(self, job: Answer) -> Answer:
        """Return the answer to one job."""
        stdin: TextIO = self.popen.stdin  # type: ignore[assignment] # a pipe
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        return self._line()

    def _line(self) -> Answer:
        stdout: TextIO = self.popen.stdout  # type: ignore[assignment] # a pipe
        with time_limit(lambda: end(self.popen)):
            line = stdout.readline()
        if not line:
            raise AnchorError(f"It ended without an answer; its messages are in {self.log}.")
        answer: Answer = json.loads(line)
        return answer


@contextmanager
def child(
    command: Sequence[str], log: Path, *, simulate: bool = False, env: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Start a script that answers, wait until it is ready, and end it."""
    began = time.perf_counter()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started(command, log, simulate=simulate, env=env, **pipes) as popen:
        yield Child(popen, log, began)


@contextmanager
def time_limit(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` after `LIMIT_S`, unless the block has ended."""
    timer = threading.Timer(LIMIT_S, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
