"""Limits of a process, and programs that may exceed the time limit because they wait for a processor."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import time

import pytest

from pytest_qeval.execution.limits import (
    LONGEST_S,
    MEMORY_RESERVE_BYTES,
    MOST_BYTES,
    ProgramLimits,
    cpu_time_s,
    is_starved,
)
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Program
from pytest_qeval.settings import ExecutionSettings

_REPORT = """
import json, resource, sys
from pytest_qeval.execution.limits import ProgramLimits, limit_program, lift_memory_limit
limits = ProgramLimits(**json.loads(sys.argv[1]))
limits.apply(bound_processes=False)
if sys.argv[2] in ("program", "reserve"):
    limit_program(limits.timeout_s, limits.memory_bytes)
if sys.argv[2] == "reserve":
    lift_memory_limit()
names = ["RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"]
print(json.dumps({name: resource.getrlimit(getattr(resource, name)) for name in names}))
"""


def _limits_after(limits: dict[str, float], mode: str = "", ceiling: str = "") -> dict[str, list[int]]:
    source = f"{ceiling}\n{_REPORT}"
    command = [sys.executable, "-c", source, json.dumps(limits), mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows: dict[str, list[int]] = json.loads(done.stdout)
    return rows


def test_every_limit_is_set() -> None:
    """Once the program is known, CPU time is a little more than the wall clock, which the worker enforces."""
    memory = 300 * 2**20
    rows = _limits_after({"timeout_s": 1.5, "memory_bytes": memory, "file_bytes": 4096, "open_files": 32}, "program")
    assert rows == {
        "RLIMIT_AS": [memory, memory + MEMORY_RESERVE_BYTES],
        "RLIMIT_DATA": [*resource.getrlimit(resource.RLIMIT_DATA)],
        "RLIMIT_CPU": [3, 4],
        "RLIMIT_FSIZE": [4096, 4096],
        "RLIMIT_NOFILE": [32, 32],
        "RLIMIT_CORE": [0, 0],
    }


def test_a_reserve_of_address_space_leaves_the_memory_bounded() -> None:
    """What is written to counts, and the address space is bounded as well."""
    memory, reserved = 300 * 2**20, 2**30
    rows = _limits_after({"timeout_s": 1.5, "memory_bytes": memory, "reserved_bytes": reserved})
    assert rows["RLIMIT_AS"] == [memory + reserved, memory + reserved + MEMORY_RESERVE_BYTES]
    assert rows["RLIMIT_DATA"] == [memory, memory]


def test_a_solver_has_room_for_the_limits_of_any_program() -> None:
    """Before its program is known, its hard limits are the largest there are, its soft ones the session's."""
    rows = _limits_after({"timeout_s": 1.5, "memory_bytes": 300 * 2**20})
    assert rows["RLIMIT_CPU"] == [3, math.ceil(LONGEST_S) + 2]
    assert rows["RLIMIT_AS"] == [300 * 2**20, MOST_BYTES + MEMORY_RESERVE_BYTES]


def test_the_reserve_lifts_memory_once() -> None:
    """After a MemoryError a solver may use the reserve, and nothing beyond."""
    memory = 300 * 2**20
    rows = _limits_after({"timeout_s": 1.5, "memory_bytes": memory}, "reserve")
    assert rows["RLIMIT_AS"] == [memory + MEMORY_RESERVE_BYTES] * 2


def test_a_lower_limit_of_the_user_stays() -> None:
    """Limits are only ever lowered: raising a hard limit would need root."""
    ceiling = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))"
    rows = _limits_after({"timeout_s": 1.5, "memory_bytes": 300 * 2**20}, ceiling=ceiling)
    assert rows["RLIMIT_NOFILE"] == [20, 20]


@pytest.mark.parametrize("field", ["timeout_s", "memory_bytes"])
def test_time_and_memory_have_no_default(field: str) -> None:
    """They come from the settings."""
    values = {"timeout_s": 1.0, "memory_bytes": 1}
    del values[field]
    with pytest.raises(TypeError, match=field):
        ProgramLimits(**values)  # type: ignore[arg-type]


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
    """It needs a third of its limit on an idle processor, and gets a small share of a busy one."""
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
