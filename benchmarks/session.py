"""Where do the seconds of a whole session go, beyond generating?

    python benchmarks/session.py --qeval-model=DIR --qeval-recipe int8 --qeval-suite humaneval --qeval-limit 2

Runs pytest with these arguments in a new process and an empty folder, and prints the wall and CPU seconds of every part
of it. `load`, `quantize` and `generating` are the report's own figures. `imports, trials` is what else is done before
the first prompt, `waiting` the time in tests in which the engine was not busy. CPU seconds are those of pytest's
process, without its sandboxes; they change less on a busy machine. A second run finds the digests of the weights in the
user's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

_MARKS_FILE, _STARTED = "QEVAL_SESSION_MARKS", "QEVAL_SESSION_STARTED"
_OVERLAPPING = {"load": "setup", "quantize": "setup", "generating": "call"}
"""Parts that the report knows, and the part of the session that each is taken out of."""
_NAMES = {"setup": "setting up", "call": "generating and executing", "measuring": "measuring single streams"}
_REST = {"setup": "imports, trials, sandboxes", "call": "waiting for programs, and the rest"}


_Mark = tuple[str, float, float]
"""The end of a part: its name, seconds since the epoch, CPU seconds."""


class Recorder:
    """A pytest plugin that notes when each part of a session ends."""

    def __init__(self) -> None:
        """Begin where the process began."""
        self.marks: list[_Mark] = [("", float(os.environ[_STARTED]), 0.0)]

    def end(self, part: str) -> None:
        """Note the end of a part, which began at the end of the one before."""
        self.marks.append((part, time.time(), time.process_time()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        """Until now pytest has read its own options."""
        self.end("start of pytest")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Settings are read."""
        self.end("settings")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Cases are planned."""
        self.end("collection")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Any:
        """Models are loaded."""
        self.end("between tests")
        yield
        self.end("setup")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        """Cases are generated, or a stream is measured."""
        self.end("between tests")
        try:
            yield
        finally:  # an unsolved case is an expected failure
            self.end("call" if "case" in getattr(item, "fixturenames", ()) else "measuring")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Any:
        """Models are freed."""
        self.end("between tests")
        yield
        self.end("closing")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Write what was noted."""
        self.end("reporting")
        Path(os.environ[_MARKS_FILE]).write_text(json.dumps(self.marks), encoding="utf-8")


def parts_of(marks: list[list[Any]]) -> dict[str, list[float]]:
    """Return the wall and CPU seconds of every part, in the order of their first ends."""
    parts: dict[str, list[float]] = {}
    for (_, *before), (part, *after) in pairwise(marks):
        sums = parts.setdefault(part, [0.0, 0.0])
        sums[:] = [total + end - start for total, start, end in zip(sums, before, after, strict=True)]
    return parts


def reported(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the wall seconds that the report knows, of all recipes together."""
    facts = list(report["recipes"].values())
    generating = [row["generation"]["busy_s"] for row in report["efficiency"].values() if row.get("generation")]
    return {
        "load": sum(one.get("load_s") or 0.0 for one in facts),
        "quantize": sum(one.get("quantize_s") or 0.0 for one in facts),
        "generating": sum(generating),
    }


def main() -> None:
    """Run pytest, and print one line per part."""
    with tempfile.TemporaryDirectory() as folder:
        marks_file, output = Path(folder, "marks.json"), Path(folder, "output")
        environment = {**os.environ, _MARKS_FILE: str(marks_file), _STARTED: str(time.time())}
        command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], f"--qeval-output={output}"]
        finished = subprocess.run(command, cwd=folder, env=environment, check=False)
        ended = time.time()
        if not marks_file.exists():
            raise SystemExit(finished.returncode)
        marks = json.loads(marks_file.read_text(encoding="utf-8"))
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
        rows = [json.loads(line) for line in (output / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    parts = parts_of([*marks, ["exit", ended, marks[-1][2]]])
    known = reported(report)
    executing_s = sum(sample["execution"]["duration_s"] for row in rows for sample in row.get("samples", ()))
    print_parts(parts, known)
    print(f"{'beyond generating':34} {ended - marks[0][1] - known['generating']:7.2f}")
    print(f"{'programs, mostly beside generating':34} {executing_s:7.2f}")


def print_parts(parts: Mapping[str, list[float]], known: Mapping[str, float]) -> None:
    """Print the parts, and below each what the report knows of it."""
    print(f"{'part':34} {'wall s':>7} {'CPU s':>7}")
    for name, (wall_s, cpu_s) in parts.items():
        print(f"{_NAMES.get(name, name):34} {wall_s:7.2f} {cpu_s:7.2f}")
        for part in (inside := [part for part, around in _OVERLAPPING.items() if around == name]):
            print(f"  {part:32} {known[part]:7.2f}")
        if inside:
            print(f"  {_REST[name]:32} {wall_s - sum(known[part] for part in inside):7.2f}")


if __name__ == "__main__":
    if _STARTED in os.environ:
        raise SystemExit(pytest.main(sys.argv[1:], plugins=[Recorder()]))
    main()
