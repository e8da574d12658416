"""Who gets more time than the limit: programs that wait for a processor, and nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from pytest_qeval.execution.patience import cpu_time_s, is_starved
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Program
from pytest_qeval.settings import ExecutionSettings


@pytest.mark.parametrize(
    ("used_s", "gained_s", "waited_s", "expected"),
    [
        (4.9, 4.9, 5.0, False),  # an endless loop on an idle machine
        (1.0, 1.0, 5.0, True),  # a fifth of a processor
        (1.2, 0.05, 0.25, True),  # still a fifth
        (4.6, 0.05, 0.25, False),  # by now it has had its time
        (0.02, 0.02, 5.0, False),  # asleep
        (1.0, 0.0, 0.25, False),  # worked, and sleeps since
    ],
)
def test_only_programs_that_compute_and_wait_are_starved(
    used_s: float, gained_s: float, waited_s: float, *, expected: bool
) -> None:
    """The limit here is five seconds."""
    assert is_starved(used_s=used_s, gained_s=gained_s, waited_s=waited_s, limit_s=5.0) is expected


def test_cpu_time_of_another_process() -> None:
    """The clock of a process can be read without /proc; a process that does not exist has used nothing."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        time.sleep(0.3)
        used_s = cpu_time_s(busy.pid)
        busy.kill()
    assert used_s > 0
    assert cpu_time_s(busy.pid) == 0.0


def test_a_program_is_not_slow_because_the_machine_is_busy() -> None:
    """It needs a third of its limit on a processor of its own, and gets a small share of one."""
    needs_a_third = (
        "import time\ndef f():\n    begun = time.process_time()\n"
        "    while time.process_time() - begun < 0.3: pass\n    return 1\n"
    )
    program = Program(prelude="", code=needs_a_third, test="def check(f):\n    assert f() == 1\n", entry_point="f")
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3 * (os.cpu_count() or 1))]
    try:
        with SandboxPool(ExecutionSettings(isolation="process", timeout_s=1.0, workers=1)) as pool:
            execution = pool.submit(program).result()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert execution.status == "passed"
