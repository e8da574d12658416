"""Turn a judge's reply and a worker's report into an execution: a pure function."""

from __future__ import annotations

import hmac
import signal
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.judge import FAULT
from pytest_qeval.execution.limits import SCRATCH_BYTES, SCRATCH_FILES, cpu_limit_s
from pytest_qeval.execution.proxy import LOST
from pytest_qeval.schema import EXECUTION_STATUSES, Execution, ReferenceExecution
from pytest_qeval.settings import ExecutionSettings

_OUT_OF_MEMORY = frozenset({signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGTRAP})
"""Of the machine, and of V8, which aborts: the first process of a tree is not reached by its own SIGABRT."""


class WorkerReport(NamedTuple):
    """What a worker observed from outside of a program, in the order of its message."""

    stopped_for: str
    """The limit that the worker enforced: `timeout`, `disk` or `memory`; empty where it did not have to."""
    duration_s: float
    judge_code: int
    """Exit code, or minus the signal."""
    solver_code: int | None = None
    """The same for a solver that ended by itself; None where it was still alive."""
    solver_cpu_s: float = 0.0
    solver_peak_bytes: int = 0


def interpret(
    report: WorkerReport, reply: Sequence[Any] | None, nonce: bytes, settings: ExecutionSettings
) -> Execution:
    """Return the execution.

    Raises:
        SandboxError: when the fault is the harness's own.
    """
    status, detail = _verdict(report, reply, nonce, settings)
    if status == FAULT or status not in EXECUTION_STATUSES:
        raise SandboxError(f"The sandbox cannot run programs: {detail}")
    execution = Execution(status=status, duration_s=report.duration_s, detail=detail)
    match reply:
        case (_, _, _, bytes(expected)) if expected and status == "passed":
            return ReferenceExecution(**asdict(execution), expected=expected)
    return execution


def _verdict(
    report: WorkerReport, reply: Sequence[Any] | None, nonce: bytes, settings: ExecutionSettings
) -> tuple[Any, str]:
    match report.stopped_for:
        case "timeout":
            return "timeout", f"no result within {settings.timeout_s:g} s"
        case "disk":
            return "error", f"wrote more than {SCRATCH_BYTES // 2**20} MiB or {SCRATCH_FILES} files to its folder"
        case "memory":
            return "memory", f"used more than {settings.memory_bytes // 2**20} MiB"
    match reply:
        case (bytes(token), str(status), str(detail), bytes()) if hmac.compare_digest(token, nonce):
            return (status, detail) if status != LOST else _verdict_of_end(report, settings)
        case None:
            return "tampered", f"the judge ended with {_describe(report.judge_code)} before it gave a verdict"
        case _:
            return "tampered", "a verdict without the right nonce"


def _verdict_of_end(report: WorkerReport, settings: ExecutionSettings) -> tuple[str, str]:
    """Return the verdict on a solver that ended before `check` returned."""
    code = report.solver_code
    if code is None:
        return "tampered", "the program closed the channel to its judge"
    if code >= 0:
        return "error", f"exited with status {code} before check returned"
    limit_s = cpu_limit_s(settings.timeout_s)
    if -code == signal.SIGXCPU or (-code == signal.SIGKILL and report.solver_cpu_s >= limit_s):
        return "timeout", f"used {report.solver_cpu_s:.1f} s of CPU time"
    if -code in _OUT_OF_MEMORY and report.solver_peak_bytes >= settings.memory_bytes // 2:
        return "memory", f"killed while it used {report.solver_peak_bytes // 2**20} MiB"
    return "error", f"{_describe(code)} before check returned"


def _describe(code: int) -> str:
    if code >= 0:
        return f"status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
