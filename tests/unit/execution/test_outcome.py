"""Replies and reports become executions."""

from __future__ import annotations

import pytest

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.outcome import WorkerReport, interpret
from pytest_qeval.execution.proxy import LOST
from pytest_qeval.schema import Execution, ReferenceExecution
from pytest_qeval.settings import ExecutionSettings

_SETTINGS = ExecutionSettings(isolation="process", timeout_s=2.0, memory_bytes=256 * 2**20)
_NONCE = b"n" * 16


@pytest.mark.parametrize(
    ("report", "reply", "expected"),
    [
        ({"stopped_for": "timeout"}, (_NONCE, "passed", "", b""), ("timeout", "no result within 2 s")),
        (
            {"stopped_for": "disk"},
            (_NONCE, "passed", "", b""),
            ("error", "wrote more than 64 MiB or 4096 files to its folder"),
        ),
        ({"stopped_for": "memory"}, (_NONCE, "passed", "", b""), ("memory", "used more than 256 MiB")),
        ({}, (_NONCE, "passed", "", b""), ("passed", "")),
        ({}, (b"m" * 16, "passed", "", b""), ("tampered", "a verdict without the right nonce")),
        ({}, (b"", "tampered", "a frame of 9 bytes"), ("tampered", "a verdict without the right nonce")),
        ({}, (_NONCE, "passed", ""), ("tampered", "a verdict without the right nonce")),
        ({}, ("passed",), ("tampered", "a verdict without the right nonce")),
        ({"judge_code": -9}, None, ("tampered", "the judge ended with killed by SIGKILL before it gave a verdict")),
        ({"solver_code": 7}, (_NONCE, LOST, "", b""), ("error", "exited with status 7 before check returned")),
        ({"solver_code": -11}, (_NONCE, LOST, "", b""), ("error", "killed by SIGSEGV before check returned")),
        ({"solver_code": -9}, (_NONCE, LOST, "", b""), ("error", "killed by SIGKILL before check returned")),
        ({"solver_code": -99}, (_NONCE, LOST, "", b""), ("error", "killed by signal 99 before check returned")),
        ({"solver_code": -24, "solver_cpu_s": 3.0}, (_NONCE, LOST, "", b""), ("timeout", "used 3.0 s of CPU time")),
        ({"solver_code": -9, "solver_cpu_s": 4.0}, (_NONCE, LOST, "", b""), ("timeout", "used 4.0 s of CPU time")),
        (
            {"solver_code": -9, "solver_peak_bytes": 200 * 2**20},
            (_NONCE, LOST, "", b""),
            ("memory", "killed while it used 200 MiB"),
        ),
        (
            {"solver_code": -11, "solver_peak_bytes": 250 * 2**20},
            (_NONCE, LOST, "", b""),
            ("memory", "killed while it used 250 MiB"),
        ),
        ({}, (_NONCE, LOST, "", b""), ("tampered", "the program closed the channel to its judge")),
    ],
)
def test_verdict_and_end_give_the_status(
    report: dict[str, object], reply: tuple[object, ...] | None, expected: tuple[str, str]
) -> None:
    """A verdict needs the nonce; without a verdict, the end of the processes decides."""
    seen = WorkerReport(**{"stopped_for": "", "duration_s": 0.1, "judge_code": 0, **report})  # type: ignore[arg-type]
    execution = interpret(seen, reply, _NONCE, _SETTINGS)
    assert (execution.status, execution.detail) == expected


def test_what_a_test_noted_of_a_reference_is_part_of_a_pass() -> None:
    """And of nothing else: a reference that ran out of time is not one to go by."""
    seen = WorkerReport(stopped_for="", duration_s=0.1, judge_code=0)
    late = WorkerReport(stopped_for="timeout", duration_s=0.1, judge_code=-9)
    noted = (_NONCE, "passed", "", b"noted")

    assert interpret(seen, noted, _NONCE, _SETTINGS) == ReferenceExecution(
        status="passed", duration_s=0.1, expected=b"noted"
    )
    for report, reply in ((seen, (_NONCE, "failed", "", b"noted")), (late, noted), (seen, (_NONCE, "passed", "", b""))):
        assert type(interpret(report, reply, _NONCE, _SETTINGS)) is Execution


def test_a_fault_of_the_sandbox_is_no_execution() -> None:
    """A fault of the harness is raised and not counted as a failed program."""
    seen = WorkerReport(stopped_for="", duration_s=0.1, judge_code=0)
    with pytest.raises(SandboxError, match="no mount"):
        interpret(seen, (_NONCE, "fault", "no mount", b""), _NONCE, _SETTINGS)
