"""Time limits that follow from how long the reference solution takes on this machine.

Where inputs are many or large, a fixed limit in seconds judges the machine as much as the program: a reference that
takes three seconds here may take thirty on a laptop. So the reference is executed first, once per problem and in the
same sandboxes. A program then has four times as long (the factor of evalplus), and never less than the session's limit.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol

from pytest_qeval.execution.limits import LONGEST_S
from pytest_qeval.schema import Execution, Program

FACTOR = 4.0
"""Time limit of a program in multiples of its reference's time."""


class _Pool(Protocol):
    def submit(self, program: Program) -> Future[Execution]: ...


class PacedPool:
    """A pool that derives the time limit of programs with a reference; it passes all others on unchanged."""

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
        measured = self._measure(program, program.reference)
        measured.add_done_callback(lambda measured: self._submit_limited(program, measured, result))
        return result

    def _measure(self, program: Program, reference: str) -> Future[Execution]:
        """Execute the reference like a program, so that its time includes the test's."""
        key = (reference, program.test)
        with self._lock:
            if key not in self._measured:
                unhurried = replace(program, code=reference, timeout_s=LONGEST_S, reference=None)
                self._measured[key] = self._pool.submit(unhurried)
            return self._measured[key]

    def _submit_limited(self, program: Program, measured: Future[Execution], result: Future[Execution]) -> None:
        """Submit the program with its limit; pass every error on to `result`."""
        try:
            reference = measured.result()
            # A reference that does not pass says nothing about time.
            reference_s = reference.duration_s if reference.status == "passed" else 0.0
            limit_s = max(self._timeout_s, min(LONGEST_S, FACTOR * reference_s))
            execution = self._pool.submit(replace(program, timeout_s=limit_s))
        except BaseException as error:  # noqa: BLE001 - it would be lost in a sandbox's thread
            result.set_exception(error)
        else:
            execution.add_done_callback(lambda done: _copy(done, result))


def _copy(done: Future[Execution], result: Future[Execution]) -> None:
    error = done.exception()
    if error is not None:
        result.set_exception(error)
    else:
        result.set_result(done.result())
