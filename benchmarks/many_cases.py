"""How do time and memory of a run grow with its cases, the model aside?

    python -m benchmarks.many_cases --plot cases.svg
    python -m benchmarks.many_cases --cases 1000 2000 4000 --executed 1

Problems of one's own are answered by recorded completions, so that collecting, judging, keeping records and reporting
is all that takes time. Most completions are empty, which needs no sandbox; `--executed` is the share that is executed,
as a trivial program. Every size is a process of its own. Prints CPU and wall seconds of every part of a session and
the highest resident memory, each also per 1000 cases: constant, if nothing grows faster than the cases. CPU seconds are
those of pytest's process, without its sandboxes; they change less on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

CASES = (41_000, 82_000, 164_000)
PARTS = ("collect", "judge", "report")
_MARKS = "marks.json"
_SUITE = """
import pytest

@pytest.mark.qeval("many.jsonl")
def test_many(qeval, case):
    qeval(case)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The state of a session at the end of a part."""

    part: str
    wall_s: float
    cpu_s: float
    peak_bytes: int


class Recorder:
    """A pytest plugin that notes when each part of a session ends."""

    def __init__(self) -> None:
        """Begin here, after the imports."""
        self.marks: list[Mark] = []
        self.end("")

    def end(self, part: str) -> None:
        """Note the end of a part, which began at the end of the one before."""
        peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.marks.append(Mark(part=part, wall_s=time.perf_counter(), cpu_s=time.process_time(), peak_bytes=peak_bytes))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Problems and completions are read, and the plan is in the journal."""
        self.end("collect")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Iterator[None]:
        """Every case is judged, and its record kept."""
        found = yield
        self.end("judge")
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """All files are written, and the summary is printed."""
        self.end("report")


def write_inputs(folder: Path, n_cases: int, executed: float) -> None:
    """Write so many problems, their completions, and the suite."""
    folder.joinpath("test_many.py").write_text(_SUITE, encoding="utf-8")
    every = round(1 / executed) if executed else n_cases + 1
    with (
        (folder / "many.jsonl").open("w", encoding="utf-8") as problems,
        (folder / "completions.jsonl").open("w", encoding="utf-8") as completions,
    ):
        for at in range(n_cases):
            name, solution = f"add_{at}", f"    return n + {at}\n"
            problem = {
                "task_id": f"many/{at}",
                "prompt": f'def {name}(n):\n    """Return n + {at}."""\n',
                "entry_point": name,
                "canonical_solution": solution,
                "test": f"def check(candidate):\n    assert candidate(1) == {at + 1}\n",
            }
            problems.write(json.dumps(problem) + "\n")
            completion = solution if at % every == every - 1 else ""
            completions.write(json.dumps({"task_id": f"many/{at}", "completion": completion}) + "\n")


def run_session(folder: Path) -> int:
    """Run pytest in this process, and write its marks."""
    recorder = Recorder()
    arguments = ["-q", "-p", "no:cacheprovider", f"--rootdir={folder}", "test_many.py"]
    arguments += ["--qeval-completions=completions.jsonl", "--qeval-output=out"]
    os.chdir(folder)
    status = pytest.main(arguments, plugins=[recorder])
    folder.joinpath(_MARKS).write_text(json.dumps([asdict(mark) for mark in recorder.marks]), encoding="utf-8")
    return int(status)


def measure(n_cases: int, executed: float) -> dict[str, Any]:
    """Run one size in a new process; return its seconds by part, peak memory, and the bytes that it wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, n_cases, executed)
        command = [sys.executable, __file__, "--folder", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        report = folder / "out" / "report.json"
        received = json.loads(report.read_text(encoding="utf-8"))["run"]["received"] if report.exists() else 0
        if done.returncode or received != n_cases:
            raise SystemExit(f"status {done.returncode}, {received} of {n_cases} cases: {done.stdout[-2000:]}")
        marks = [Mark(**mark) for mark in json.loads((folder / _MARKS).read_text(encoding="utf-8"))]
        written = {path.name: path.stat().st_size for path in (folder / "out").iterdir()}
    found: dict[str, Any] = {"cases": n_cases, "written_bytes": written}
    for before, mark in pairwise(marks):
        found[mark.part] = {
            "wall_s": mark.wall_s - before.wall_s,
            "cpu_s": mark.cpu_s - before.cpu_s,
            "peak_bytes": mark.peak_bytes,
        }
    return found


def plot_found(path: Path, found: Sequence[dict[str, Any]]) -> None:
    """Draw what each size took."""
    from benchmarks.plots import plot  # noqa: PLC0415 - a size is measured by this file alone, without its package

    panels = {
        "CPU s per 1000 cases": [1000 * sum(one[part]["cpu_s"] for part in PARTS) / one["cases"] for one in found],
        "peak memory, MB": [max(one[part]["peak_bytes"] for part in PARTS) / 1e6 for one in found],
    }
    plot(path, "cases", [one["cases"] for one in found], panels)


def print_found(found: dict[str, Any]) -> None:
    """Print one size as a row."""
    thousands = found["cases"] / 1000
    cpu = [found[part]["cpu_s"] for part in PARTS]
    wall = [found[part]["wall_s"] for part in PARTS]
    peak = max(found[part]["peak_bytes"] for part in PARTS)
    print_row(
        f"{found['cases']:,}",
        *(f"{one:.1f}" for one in cpu),
        f"{sum(cpu) / thousands:.2f}",
        f"{sum(wall):.0f}",
        f"{peak / 1e6:.0f}",
        f"{peak / thousands / 1e6:.1f}",
        f"{sum(found['written_bytes'].values()) / 1e6:.0f}",
    )


def print_head(*cells: str) -> None:
    """Print the head of a table in Markdown."""
    print_row(*cells)
    print_row(*("---" for _ in cells))


def print_row(*cells: str) -> None:
    """Print a row of it."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main(given: Sequence[str] | None = None) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=CASES)
    parser.add_argument("--executed", type=float, default=0.0, help="share of completions that are executed")
    parser.add_argument("--out", type=Path, help="a file for all figures as JSON")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--plot", type=Path, help="an SVG file")
    options = parser.parse_args(given)
    if options.folder:
        return run_session(options.folder)
    print_head(
        *("cases", *(f"{part}, CPU s" for part in PARTS), "CPU s per 1000", "wall s"),
        *("peak memory, MB", "MB per 1000", "written, MB"),
    )
    found = []
    for n_cases in options.cases:
        found.append(measure(n_cases, options.executed))
        print_found(found[-1])
    if options.out:
        content = {
            "executed": options.executed,
            "python": platform.python_version(),
            "pytest": pytest.__version__,
            "sizes": found,
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot_found(options.plot, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
