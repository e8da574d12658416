"""The process that lives inside the isolation and forks a solver and a judge for every program.

It starts as a clean interpreter with only the standard library, never as a copy of the process that holds the model.
It sees neither programs nor nonces: those go from the plugin directly to the judge.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import math
import os
import random
import select
import signal
import socket
import sys
import time
from dataclasses import asdict, replace
from typing import NamedTuple, NoReturn

from pytest_qeval.execution.channel import LIMITS, Channel
from pytest_qeval.execution.cleanup import kill_everybody_else, kill_remains, remove_contents
from pytest_qeval.execution.confinement import (
    DEVICES,
    Abilities,
    Profile,
    close_others,
    confine,
    die_with_parent,
    guard_worker,
    prepare_file_rules,
)
from pytest_qeval.execution.judge import judge
from pytest_qeval.execution.limits import MAX_EXTENSION, SCRATCH_FILES, STARVATION_CHECK_S, cpu_time_s, is_starved
from pytest_qeval.execution.node import become_node
from pytest_qeval.execution.quota import CHECK_S, exceeds, resident_bytes
from pytest_qeval.execution.solver import serve

if sys.platform == "linux":
    from pytest_qeval.execution import namespaces

# Imported once, so that programs which use them start fast.
_PRELOADED = (
    "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions", "functools", "hashlib",
    "heapq", "itertools", "json", "math", "operator", "random", "re", "statistics", "string", "typing",
)  # fmt: skip

_SOLVER_LOST = 3
# A solver that closed its channel and is not dead within this time closed it on purpose.
_ENDING_S = 0.25
_POLL_S = 0.001


class _Solver(NamedTuple):
    """A confined process that waits for a program."""

    pid: int
    channel: Channel
    """The judge's end."""


def main(profile_json: str) -> NoReturn:
    """Serve programs until the plugin closes the connection; `profile_json` is a `Profile`."""
    profile = Profile.from_json(profile_json)
    die_with_parent(signal.SIGKILL if profile.has_namespaces else signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if sys.platform == "linux" and profile.isolation == "namespace":
        namespaces.enter(profile.readable, profile.hidden, DEVICES, profile.scratch, profile.limits.scratch_bytes)
    abilities = Abilities.probe(profile.isolation)
    if reason := abilities.reason_against(profile.isolation):
        sys.exit(reason)
    control = socket.socket(fileno=os.dup(0))
    _silence()
    _warm_up(profile)
    try:
        _WorkerProcess(profile, control, abilities).serve()
    finally:
        if not profile.has_namespaces:  # elsewhere a file system that ends with the process
            remove_contents(profile.scratch)
            os.rmdir(profile.scratch)  # noqa: PTH106
    sys.exit(0)


def _silence() -> None:
    """Connect the standard streams to /dev/null: output costs nothing, and `input()` raises EOFError."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _warm_up(profile: Profile) -> None:
    sys.path[:] = [path for path in sys.path if path != sys.argv[1]]
    sys.path += [path for path in profile.import_paths if path not in sys.path]
    for name in _PRELOADED:
        importlib.import_module(name)
    guard_worker()
    sys.argv[:] = [""]
    gc.collect()
    gc.freeze()


class _Job(NamedTuple):
    """A program to be judged."""

    sock: socket.socket
    """Connects the plugin and the judge."""
    timeout_s: float
    memory_bytes: int


class _WorkerProcess:
    """Run one program after the other, with a solver ready before each."""

    def __init__(self, profile: Profile, control: socket.socket, abilities: Abilities) -> None:
        self.profile = profile
        self.control = control
        self.abilities = abilities
        self.file_rules = prepare_file_rules(profile, abilities)

    def serve(self) -> None:
        """Announce a solver, take a program, send the report, then clean up."""
        channel = Channel(self.control)
        with contextlib.suppress(ConnectionError):  # the plugin closed the connection
            while True:
                solver = self.start_solver()
                try:
                    channel.send("ready", asdict(self.abilities))
                    job = self.receive_job()
                    report = self.run(job, solver) if job else None
                    if report is None:
                        return
                    channel.send(*report)
                finally:
                    self.clean_up(solver)

    def receive_job(self) -> _Job | None:
        """Wait for a job; None when the plugin is gone."""
        limits, fds, _, _ = socket.recv_fds(self.control, LIMITS.size, 1)
        return _Job(socket.socket(fileno=fds[0]), *LIMITS.unpack(limits)) if fds else None

    def start_solver(self) -> _Solver:
        """Fork a solver before its program arrives: its memory holds nothing of the request."""
        ours, theirs = socket.socketpair()
        own_tree = None
        if sys.platform == "linux" and self.abilities.nested:
            own_tree = namespaces.enter_process_tree()
        pid = os.fork()
        if pid == 0:
            self.become_solver(theirs)
        if sys.platform == "linux" and own_tree is not None:
            namespaces.leave_process_tree(own_tree)
        theirs.close()
        return _Solver(pid, Channel(ours))

    def become_solver(self, sock: socket.socket) -> NoReturn:
        try:
            os.setsid()
            _start_clean()
            channel = Channel(sock)
            try:
                if self.profile.node:
                    become_node(self.profile, self.abilities, self.file_rules, sock.fileno())
                confine(self.profile, self.abilities, self.file_rules)
            except OSError as error:
                channel.send("fault", f"the solver cannot be confined: {error}")
                os._exit(1)
            close_others(sock.fileno())
            channel.send("ready")
            serve(channel)
        finally:
            os._exit(1)

    def become_judge(self, job: _Job, solver: _Solver) -> NoReturn:
        try:
            _start_clean()
            self.control.close()
            limits = self.profile.limits
            limits = replace(limits, timeout_s=job.timeout_s, memory_bytes=job.memory_bytes, reserved_bytes=0)
            limits.apply(bound_processes=False)
            os._exit(0 if judge(Channel(job.sock), solver.channel) else _SOLVER_LOST)
        finally:
            os._exit(1)

    def run(self, job: _Job, solver: _Solver) -> tuple[object, ...] | None:
        """Have the job judged; return the values of a `WorkerReport`, or None when the plugin is gone."""
        started = time.monotonic()
        judging, held = os.pipe()  # ends with the judge, which alone holds the other end
        pid = os.fork()
        if pid == 0:
            self.become_judge(job, solver)
        os.close(held)
        job.sock.close()
        solver.channel.close()
        ending = self.wait_for(judging, pid, solver.pid, job)
        os.close(judging)
        if ending != "judged":
            os.kill(pid, signal.SIGKILL)  # not reaped yet: the id still belongs to the judge
        judge_code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if ending == "hung up":
            return None
        if ending == "judged" and self.fills_folder():
            ending = "disk"
        solver_end = _wait_for_end(solver.pid) if ending == "judged" and judge_code == _SOLVER_LOST else ()
        return "" if ending == "judged" else ending, time.monotonic() - started, judge_code, *solver_end

    def wait_for(self, judging: int, judge_pid: int, solver_pid: int, job: _Job) -> str:
        """Wait until the judge has ended, a limit is exceeded, or the plugin closes the connection; say which."""
        poll = select.poll()
        for stream in (judging, self.control.fileno()):
            poll.register(stream, select.POLLIN)
        check_s = math.inf if self.profile.has_namespaces else CHECK_S
        begun = time.monotonic()
        elapsed_s, due_s, seen_s, used_s = 0.0, job.timeout_s, 0.0, 0.0
        while not (events := {fd for fd, _ in poll.poll(1000 * max(0.0, min(due_s - elapsed_s, check_s)))}):
            elapsed_s = time.monotonic() - begun
            if excess := self.find_excess(solver_pid, job):
                return excess
            if elapsed_s < due_s:
                continue
            before_s, used_s = used_s, cpu_time_s(judge_pid, solver_pid)
            gained_s, waited_s = used_s - before_s, elapsed_s - seen_s
            starved = is_starved(used_s=used_s, gained_s=gained_s, waited_s=waited_s, limit_s=job.timeout_s)
            if not starved or elapsed_s >= MAX_EXTENSION * job.timeout_s:
                return "timeout"
            seen_s, due_s = elapsed_s, elapsed_s + STARVATION_CHECK_S
        return "hung up" if self.control.fileno() in events else "judged"

    def find_excess(self, solver_pid: int, job: _Job) -> str:
        """Return which limit a program exceeds that no kernel enforces: `disk`, `memory` or none."""
        if self.fills_folder():
            return "disk"
        if not self.abilities.memory_limit and resident_bytes(solver_pid) > job.memory_bytes:
            return "memory"
        return ""

    def fills_folder(self) -> bool:
        """Return whether a program has more in its folder than it may, where that is no file system of its own."""
        profile = self.profile
        return not profile.has_namespaces and exceeds(profile.scratch, profile.limits.scratch_bytes, SCRATCH_FILES)

    def clean_up(self, solver: _Solver) -> None:
        """Kill what is left of a program and remove its files."""
        solver.channel.close()
        with contextlib.suppress(ChildProcessError):  # reaped before: another process may have the id by now
            if os.waitpid(solver.pid, os.WNOHANG)[0] == 0:
                os.kill(solver.pid, signal.SIGKILL)
                os.waitpid(solver.pid, 0)
        if self.abilities.nested:
            return  # the kernel killed the whole tree with its first process, and freed its file system
        if self.profile.has_namespaces:
            kill_everybody_else()
        else:
            kill_remains(solver.pid)
        remove_contents(self.profile.scratch)


def _start_clean() -> None:
    """Die with the worker, restore its signal handler, and start from the same random state every time."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    random.seed(0)  # Python seeds anew after a fork; verdicts must be reproducible


def _wait_for_end(pid: int) -> tuple[int, float, int] | tuple[()]:
    """Reap a child that is about to end; return exit code (negative: signal), CPU seconds and peak bytes, or ()."""
    deadline = time.monotonic() + _ENDING_S
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, peak_bytes
        if time.monotonic() > deadline:
            return ()
        time.sleep(_POLL_S)
