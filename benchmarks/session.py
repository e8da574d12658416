"""Where do the seconds of a whole session go, beyond generating and executing?

    python benchmarks/session.py --qeval-model=DIR --qeval-recipe int8 --qeval-suite humaneval --qeval-limit 2

Runs pytest with these arguments in a new process and an empty folder, and prints the wall and CPU seconds of every part
of it. `load` and `quantize` are the report's own figures; `trials` is what else is done before the first prompt;
`waiting` is the time in tests in which the engine was not busy, mostly for programs that are executed. CPU seconds are
those of pytest's process, without its sandboxes; they change little on a busy machine.
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
from typing import Any, NamedTuple

import pytest

_MARKS_FILE, _STARTED = "QEVAL_SESSION_MARKS", "QEVAL_SESSION_STARTED"
_OVERLAPPING = {"load": "setup", "quantize": "setup", "generating": "call"}
"""Parts that the report knows, and the part of the session that each is taken out of."""
_NAMES = {"setup": "setting up", "call": "generating and executing", "measuring": "measuring single streams"}
_REST = {"setup": "trials and sandboxes", "call": "waiting for programs, and the rest"}


class _Mark(NamedTuple):
    """The end of a part."""

    part: str
    wall_s: float
    """Seconds since the epoch."""
    cpu_s: float


class Recorder:
    """A pytest plugin that notes when each part of a session ends."""

    def __init__(self) -> None:
        """Begin where the process began."""
        self.marks = [_Mark("", float(os.environ[_STARTED]), 0.0)]

    def end(self, part: str) -> None:
        """Note the end of a part, which began at the end of the one before."""
        self.marks.append(_Mark(part, time.time(), time.process_time()))

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
        """Cases are planned; the engine is imported here, as the first test would do it."""
        self.end("collection")
        import pytest_qeval.engines.hf.engine  # noqa: F401, PLC0415 - timed

        self.end("imports")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Any:
        """Whatever lies between tests."""
        self.end("between tests")
        result = yield
        self.end("between tests")
        return result

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

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Tests are through."""
        self.end("between tests")

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
    parts = parts_of([*marks, ["exit", ended, marks[-1][2]]])
    known = reported(report)
    print_parts(parts, known)
    beyond_s = ended - marks[0][1] - parts.get("call", [0.0])[0]
    print(f"{'beyond generating and executing':34} {beyond_s:7.2f}")


def print_parts(parts: Mapping[str, list[float]], known: Mapping[str, float]) -> None:
    """Print the parts, and below each what the report knows of it."""
    print(f"{'part':34} {'wall s':>7} {'CPU s':>7}")
    for name, (wall_s, cpu_s) in parts.items():
        print(f"{_NAMES.get(name, name):34} {wall_s:7.2f} {cpu_s:7.2f}")
        inside = [part for part, around in _OVERLAPPING.items() if around == name]
        for part in inside:
            print(f"  {part:32} {known[part]:7.2f}")
        if inside:
            print(f"  {_REST[name]:32} {wall_s - sum(known[part] for part in inside):7.2f}")


if __name__ == "__main__":
    if _STARTED in os.environ:
        raise SystemExit(pytest.main(sys.argv[1:], plugins=[Recorder()]))
    main()
