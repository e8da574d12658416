"""Limits that follow from the reference: measured once per problem, and never below the session's."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.limits import LONGEST_S, MOST_BYTES
from pytest_qeval.execution.pacing import FACTOR, PacedPool
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, ExecutionStatus, Program, ReferenceExecution
from pytest_qeval.settings import ExecutionSettings, IsolationName
from tests.sandboxes import skip_unless_usable

TEST = "def check(candidate):\n    assert candidate() == 1\n"
RIGHT = "def f():\n    return 1\n"


def program(code: str = "def f(): return 2", *, reference: str | None = RIGHT, test: str = TEST) -> Program:
    return Program(prelude="", code=code, test=test, entry_point="f", reference=reference)


class Pool:
    """Finishes programs at once: references in a given time."""

    def __init__(self, reference_s: float, status: ExecutionStatus = "passed") -> None:
        self.reference_s = reference_s
        self.status = status
        self.submitted: list[Program] = []

    def submit(self, program: Program) -> Future[Execution]:
        self.submitted.append(program)
        future: Future[Execution] = Future()
        measured = program.code == RIGHT
        status: ExecutionStatus = self.status if measured else "failed"
        future.set_result(Execution(status=status, duration_s=self.reference_s if measured else 0.0))
        return future


@pytest.mark.parametrize(("reference_s", "limit_s"), [(0.1, 5.0), (1.25, 5.0), (3.0, FACTOR * 3.0), (100.0, LONGEST_S)])
def test_a_program_has_four_times_as_long_as_the_reference(reference_s: float, limit_s: float) -> None:
    """Never less than the session's limit, and never more than the longest there is."""
    pool = Pool(reference_s)
    result = PacedPool(pool, timeout_s=5.0).submit(program())

    assert result.result().status == "failed"
    assert [one.timeout_s for one in pool.submitted] == [LONGEST_S, limit_s]


@pytest.mark.parametrize(("needed_bytes", "memory_bytes"), [(0, None), (2**31, MOST_BYTES), (2**40, None)])
def test_a_program_has_the_memory_that_the_reference_needs(needed_bytes: int, memory_bytes: int | None) -> None:
    """The session's; else the largest there is; the session's again where even that is not enough."""

    class Hungry(Pool):
        def submit(self, program: Program) -> Future[Execution]:
            self.status = "passed" if (program.memory_bytes or 2**30) >= needed_bytes else "memory"
            return super().submit(program)

    pool = Hungry(2.0)
    PacedPool(pool, timeout_s=5.0).submit(program()).result()

    assert pool.submitted[-1].memory_bytes == memory_bytes
    assert pool.submitted[-1].timeout_s == (5.0 if needed_bytes == 2**40 else 8.0)
    assert [one.is_reference for one in pool.submitted] == [True] * (len(pool.submitted) - 1) + [False]


def test_what_was_noted_of_the_reference_is_given_to_programs() -> None:
    """Of a reference that passes."""

    class Noting(Pool):
        def submit(self, program: Program) -> Future[Execution]:
            self.submitted.append(program)
            future: Future[Execution] = Future()
            future.set_result(ReferenceExecution(status="passed", duration_s=1.0, expected=b"noted"))
            return future

    pool = Noting(1.0)
    PacedPool(pool, timeout_s=5.0).submit(program()).result()

    assert [(one.is_reference, one.expected) for one in pool.submitted] == [(True, b""), (False, b"noted")]


def test_a_reference_is_measured_once_per_problem() -> None:
    """Whatever the number of samples; another test is another problem."""
    pool = Pool(2.0)
    paced = PacedPool(pool, timeout_s=5.0)
    for test in (TEST, TEST, TEST + "# other\n"):
        paced.submit(program(test=test)).result()

    assert [one.code == RIGHT for one in pool.submitted] == [True, False, False, True, False]


def test_programs_without_a_reference_are_not_paced() -> None:
    """A program without a reference goes straight on, unchanged."""
    pool, plain = Pool(9.0), program(reference=None)
    PacedPool(pool, timeout_s=5.0).submit(plain).result()

    assert pool.submitted == [plain]


def test_a_reference_that_does_not_pass_sets_no_limit() -> None:
    """Such as one that never ends: a program then has the session's limit."""
    pool = Pool(LONGEST_S, "timeout")
    PacedPool(pool, timeout_s=5.0).submit(program()).result()

    assert pool.submitted[-1].timeout_s == 5.0


def test_an_error_while_measuring_is_raised_by_the_result() -> None:
    """Otherwise it would be lost in a sandbox's thread."""

    class Broken(Pool):
        def submit(self, program: Program) -> Future[Execution]:
            self.submitted.append(program)
            future: Future[Execution] = Future()
            future.set_exception(SandboxError("no sandbox"))
            return future

    result = PacedPool(Broken(1.0), timeout_s=5.0).submit(program())

    with pytest.raises(SandboxError, match="no sandbox"):
        result.result()


SLOW = """
import time

def f():
    end = time.process_time() + 0.4
    while time.process_time() < end:
        pass
    return 1
"""


@pytest.mark.parametrize("isolation", ["auto", "process"])
def test_a_program_may_have_more_time_than_the_session_gives(isolation: IsolationName) -> None:
    """Wall clock and CPU time alike; the next program in the same sandbox has the session's limit again."""
    skip_unless_usable(isolation)
    settings = ExecutionSettings(isolation=isolation, timeout_s=0.15, workers=1)
    with SandboxPool(settings) as pool:
        paced = PacedPool(pool, timeout_s=settings.timeout_s)
        with_reference = paced.submit(program(SLOW, reference=SLOW))
        without = paced.submit(program(SLOW, reference=None))

        assert with_reference.result().status == "passed"
        assert without.result() == Execution(
            status="timeout", duration_s=without.result().duration_s, detail="no result within 0.15 s"
        )


def test_closing_the_pool_ends_all_waiting() -> None:
    """Also of programs whose reference is being measured."""
    pool = SandboxPool(ExecutionSettings(isolation="process", workers=1))
    endless = "def f():\n    while True: pass\n"
    waiting = PacedPool(pool, timeout_s=1.0).submit(program(reference=endless))
    pool.close()

    with pytest.raises(SandboxError, match="closed"):
        waiting.result(timeout=30)
