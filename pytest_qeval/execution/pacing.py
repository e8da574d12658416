"""Limits that follow from what the reference solution needs on this machine.

Where inputs are many or large, a fixed limit in seconds judges the machine as much as the program: a reference that
takes three seconds here may take thirty on a laptop. So the reference is executed first, once per problem and in the
same sandboxes. A program then has four times as long (the factor of evalplus), and never less than the session's limit.
A reference that needs more memory than the session's limit is executed again with the largest there is, and so are the
programs of its problem.

A test may take note of what the reference returns (`judge.NOTE_EXPECTED`). Programs are judged by that, and the
reference is not executed again for each of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from pytest_qeval.execution.limits import LONGEST_S, MOST_BYTES
from pytest_qeval.schema import Execution, Program, ReferenceExecution

FACTOR = 4.0
"""Time limit of a program in multiples of its reference's time."""

_T = TypeVar("_T")
_U = TypeVar("_U")


class _Pool(Protocol):
    def submit(self, program: Program) -> Future[Execution]: ...


@dataclass(frozen=True, slots=True)
class _Needs:
    """What a reference was found to need."""

    execution: Execution
    memory_bytes: int | None = None
    """None where the session's limit is enough."""


class PacedPool:
    """A pool that derives the limits of programs with a reference; it passes all others on unchanged."""

    def __init__(self, pool: _Pool, *, timeout_s: float) -> None:
        """Use `pool`, whose programs have `timeout_s` seconds."""
        self._pool = pool
        self._timeout_s = timeout_s
        self._measured: dict[tuple[str, str], Future[_Needs]] = {}
        self._lock = threading.Lock()
        self._unfinished: set[Future[Execution]] = set()

    def submit(self, program: Program) -> Future[Execution]:
        """Execute a program as soon as its limits are known and a sandbox is free."""
        execution = self._submit(program)
        self._unfinished.add(execution)
        execution.add_done_callback(self._unfinished.discard)
        return execution

    def settle(self) -> None:
        """Wait until no program is running or waiting."""
        wait(list(self._unfinished))

    def _submit(self, program: Program) -> Future[Execution]:
        if program.reference is None:
            return self._pool.submit(program)
        measured = self._measure(program, program.reference)
        return _then(measured, lambda needs: self._pool.submit(self._limited(program, needs)))

    def _measure(self, program: Program, reference: str) -> Future[_Needs]:
        """Execute the reference like a program, so that its time includes the test's."""
        key = (reference, program.test)
        with self._lock:
            if key not in self._measured:
                unhurried = replace(program, code=reference, timeout_s=LONGEST_S, reference=None, is_reference=True)
                self._measured[key] = _then(
                    self._pool.submit(unhurried), lambda execution: self._measure_memory(unhurried, execution)
                )
            return self._measured[key]

    def _measure_memory(self, unhurried: Program, execution: Execution) -> Future[_Needs]:
        """Execute a reference that ran out of memory again, with more."""
        if execution.status != "memory":
            return _done(_Needs(execution))
        again = self._pool.submit(replace(unhurried, memory_bytes=MOST_BYTES))
        return _then(again, lambda execution: _done(_Needs(execution, MOST_BYTES)))

    def _limited(self, program: Program, needs: _Needs) -> Program:
        """Return the program with its limits."""
        execution = needs.execution
        if execution.status != "passed":  # a reference that does not pass says nothing about what is needed
            return replace(program, timeout_s=self._timeout_s)
        return replace(
            program,
            timeout_s=max(self._timeout_s, min(LONGEST_S, FACTOR * execution.duration_s)),
            memory_bytes=needs.memory_bytes,
            expected=execution.expected if isinstance(execution, ReferenceExecution) else b"",
        )


def _then(first: Future[_T], follow: Callable[[_T], Future[_U]]) -> Future[_U]:
    """Return the future of what follows when `first` is done; every error ends up in it.

    Otherwise it would be lost in a sandbox's thread.
    """
    result: Future[_U] = Future()

    def copy(done: Future[_U]) -> None:
        error = done.exception()
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(done.result())

    def go_on(done: Future[_T]) -> None:
        try:
            following = follow(done.result())
        except BaseException as error:  # noqa: BLE001 - raised again by the future's `result`
            result.set_exception(error)
        else:
            following.add_done_callback(copy)

    first.add_done_callback(go_on)
    return result


def _done(value: _T) -> Future[_T]:
    future: Future[_T] = Future()
    future.set_result(value)
    return future
