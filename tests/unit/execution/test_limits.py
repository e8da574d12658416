"""Limits hold in a process that they were applied to."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from pytest_qeval.execution.limits import LONGEST_S, MEMORY_RESERVE_BYTES, Limits

_REPORT = """
import json, resource, sys
from pytest_qeval.execution.limits import Limits, allow_cpu_time, allow_reserve
Limits(**json.loads(sys.argv[1])).apply(bound_processes=False)
if sys.argv[2] == "reserve":
    allow_reserve()
if sys.argv[2] == "program":
    allow_cpu_time(1.5)
names = ["RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"]
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
        "RLIMIT_CPU": [3, 4],
        "RLIMIT_FSIZE": [4096, 4096],
        "RLIMIT_NOFILE": [32, 32],
        "RLIMIT_CORE": [0, 0],
    }


def test_a_solver_without_a_program_may_get_any() -> None:
    """Its hard limit leaves room for the program with the longest time, its soft one does not."""
    rows = _limits_after({"timeout_s": 1.5, "memory_bytes": 300 * 2**20})
    assert rows["RLIMIT_CPU"] == [3, math.ceil(LONGEST_S) + 2]


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
def test_what_the_user_sets_has_no_default(field: str) -> None:
    """Time and memory come from the settings, always."""
    values = {"timeout_s": 1.0, "memory_bytes": 1}
    del values[field]
    with pytest.raises(TypeError, match=field):
        Limits(**values)  # type: ignore[arg-type]
