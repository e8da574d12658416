"""Time limits that follow from how long the reference takes on this machine.

A limit in seconds judges the machine as much as the program where inputs are many or large: what takes the reference
three seconds here may take it thirty on a laptop. So the reference is judged first, once a problem, in the same
sandboxes; then a program has four times as long (the factor of evalplus), and never less than the session allows.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol

from pytest_qeval.execution.limits import LONGEST_S
from pytest_qeval.schema import Execution, Program

__all__ = ["FACTOR", "PacedPool"]

FACTOR = 4.0
"""How many times as long as the reference a program may take."""


class _Pool(Protocol):
    def submit(self, program: Program) -> Future[Execution]: ...


class PacedPool:
    """A pool that gives programs with a reference the time they deserve; all others go straight on."""

    def __init__(self, pool: _Pool, *, timeout_s: float) -> None:
        """Use `pool`, whose programs have `timeout_s` seconds."""
        self._pool = pool
        self._timeout_s = timeout_s
        self._measured: dict[tuple[str, str], Future[Execution]] = {}
        self._lock = threading.Lock()

    def submit(self, program: Program) -> Future[Execution]:
        """Execute a program as soon as its limit is known and a sandbox is free."""
        if program.reference is None:
            return self._pool.submit(program)
        result: Future[Execution] = Future()
        self._measure(program, program.reference).add_done_callback(lambda done: self._go_on(program, done, result))
        return result

    def _measure(self, program: Program, reference: str) -> Future[Execution]:
        """Let the reference be judged as if it were a program, which costs what judging costs, too."""
        key = (reference, program.test)
        with self._lock:
            if key not in self._measured:
                unhurried = replace(program, code=reference, timeout_s=LONGEST_S, reference=None)
                self._measured[key] = self._pool.submit(unhurried)
            return self._measured[key]

    def _go_on(self, program: Program, measured: Future[Execution], result: Future[Execution]) -> None:
        """Submit the program; whatever goes wrong is told to whoever waits for the result."""
        try:
            limit_s = max(self._timeout_s, min(LONGEST_S, FACTOR * _time_of(measured.result())))
            execution = self._pool.submit(replace(program, timeout_s=limit_s))
        except BaseException as error:  # noqa: BLE001 - nobody else would see it: this runs in a sandbox's thread
            result.set_exception(error)
            return
        execution.add_done_callback(lambda done: _hand_over(done, result))


def _time_of(execution: Execution) -> float:
    """Return the reference's time; one that does not pass tells nothing about time."""
    return execution.duration_s if execution.status == "passed" else 0.0


def _hand_over(done: Future[Execution], result: Future[Execution]) -> None:
    error = done.exception()
    if error is not None:
        result.set_exception(error)
    else:
        result.set_result(done.result())
