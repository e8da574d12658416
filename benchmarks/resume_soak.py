"""Does a run that is killed at a random moment, and resumed, end as if it had never been killed?

    python benchmarks/resume_soak.py --runs 200
    python benchmarks/resume_soak.py --runs 20 --model demo --recipe int8 --workers 2

Without a model, recorded completions of `micro` are judged. A run is killed by SIGKILL once its journal has a random
number of lines and a random part of the next one's time has passed; then it is resumed, killed again with a chance of
one in three, and so on. Its records, and its report but for times, have to equal those of a run that was not killed.
Every part is a fork of this process, which has imported what takes long. Prints what differs, and how many runs were
the same; the exit status is 1 unless all were.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - every report takes it

import pytest_qeval.hooks.start  # noqa: F401 - as every run does
from pytest_qeval.benchmarks.micro import PATH as MICRO

_TIMES = ("duration_s", "ttft_s", "worker")
"""Fields of a record that no two runs share."""
_OF_RUN = ("id", "started_at", "command", "duration_s", "resumed")
_COSTS = ("evaluation", "efficiency", "memory", "recipes", "comparability")
"""Parts of a report that hold times; the last one says what they cover."""
_AGAIN = 1 / 3
_POLL_S, _LINE_S = 0.002, 0.05
_WRITING, _MODE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644


def without_times(value: Any) -> Any:
    """Return decoded JSON without times."""
    if isinstance(value, dict):
        return {name: without_times(one) for name, one in value.items() if name not in _TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def records_of(folder: Path) -> list[str]:
    """Return the records of a run in one order, each as a line without times."""
    lines = (json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines())
    return sorted(json.dumps(without_times(row), sort_keys=True) for row in lines if row["type"] == "record")


def report_of(folder: Path) -> Any:
    """Return a report without times and costs."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    run = {name: value for name, value in report["run"].items() if name not in _OF_RUN}
    kept = {name: value for name, value in report.items() if name not in _COSTS}
    return without_times({**kept, "run": run})


def write_completions(path: Path, n_problems: int) -> None:
    """Write completions of micro's first problems, of which every fourth is wrong."""
    rows = [json.loads(line) for line in MICRO.read_text(encoding="utf-8").splitlines()[:n_problems]]
    lines = (
        {"task_id": row["task_id"], "completion": "    return None\n" if at % 4 == 3 else row["canonical_solution"]}  # noqa: PLR2004 - every fourth
        for at, row in enumerate(rows)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def n_lines(journal: Path) -> int:
    """Return how many whole lines a journal has so far."""
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


class Run:
    """One run of pytest, in a process of its own."""

    def __init__(self, pid: int) -> None:
        """Take a process that was started."""
        self.status: int | None = None
        self._pid = pid

    def wait(self, options: int = 0) -> int | None:
        """Return its exit status; None while it goes on, with os.WNOHANG."""
        if self.status is None:
            pid, status = os.waitpid(self._pid, options)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def kill(self) -> None:
        """End it by SIGKILL."""
        os.kill(self._pid, signal.SIGKILL)
        self.wait()


Start = Callable[[Sequence[str], Path], Run]
"""Takes what is to be run, and the file that its output goes to."""


def fork(arguments: Sequence[str], output: Path) -> Run:
    """Run pytest with these arguments in a fork of this process."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(output, _WRITING, _MODE), 1)
        os.dup2(1, 2)
        os._exit(int(pytest.main([*arguments])))
    return Run(pid)


def spawn(command: Sequence[str], output: Path) -> Run:
    """Run a command."""
    actions = [(os.POSIX_SPAWN_OPEN, 1, output, _WRITING, _MODE), (os.POSIX_SPAWN_DUP2, 1, 2)]
    return Run(os.posix_spawn(command[0], [*command], os.environ, file_actions=actions))


def is_killed_at(run: Run, folder: Path, *, lines: int, more_s: float) -> bool:
    """Kill a run once its journal has so many lines and some time has passed; False if it ended first."""
    while run.wait(os.WNOHANG) is None and n_lines(folder / "records.jsonl") < lines:
        time.sleep(_POLL_S)
    time.sleep(more_s)
    if run.wait(os.WNOHANG) is not None:
        return False
    run.kill()
    return True


def differences(folder: Path, reference: Path) -> Iterator[str]:
    """Yield what a run does not share with the reference."""
    ours, theirs = records_of(folder), records_of(reference)
    if ours != theirs:
        yield f"{len(set(ours) ^ set(theirs))} records differ, {len(ours)} instead of {len(theirs)}"
    report, expected = report_of(folder), report_of(reference)
    yield from (f"report: {name}" for name in expected if report.get(name) != expected[name])


def soak(
    start: Start, command: Sequence[str], folder: Path, reference: Path, draw: random.Random
) -> tuple[int, list[str]]:
    """Kill and resume one run until it ends; return how often it was killed, and what differs."""
    printed = folder.with_suffix(".txt")
    run = [*command, f"--qeval-output={folder}"]
    most, kills, resume = n_lines(reference / "records.jsonl"), 0, list[str]()
    while kills == 0 or draw.random() < _AGAIN:
        present = n_lines(folder / "records.jsonl")
        at = draw.randint(present, max(present, most))  # every part adds lines of its own
        part = start([*run, *resume], printed)
        if not is_killed_at(part, folder, lines=at, more_s=draw.random() * _LINE_S):
            break
        kills += 1
        resume = ["--qeval-resume"] if (folder / "records.jsonl").exists() else []
    status, said = start([*run, *resume], printed).wait(), printed.read_text(encoding="utf-8")
    if status not in {0, 1} and not (status == pytest.ExitCode.USAGE_ERROR and "is finished" in said):
        return kills, [f"status {status}: {said.strip()[-300:]}"]
    return kills, list(differences(folder, reference))


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--model", help="a model to run instead of recorded completions")
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--workers", type=int, default=0, help="workers of pytest-xdist")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("more", nargs="*", help="options of the plugin, behind --")
    options = parser.parse_args()
    folder, draw = Path(tempfile.mkdtemp(prefix="qeval-soak-")), random.Random(options.seed)  # noqa: S311 - chance, not security
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    os.chdir(folder)  # else every run would load this project's conftest.py
    write_completions(folder / "completions.jsonl", options.problems)
    asked = ["--qeval-model", options.model, "--qeval-recipe", options.recipe, "--qeval-baseline", "run"]
    replayed = [f"--qeval-completions={folder / 'completions.jsonl'}"]
    command = ["-q", "-p", "no:cacheprovider", f"--rootdir={folder}"]
    command += [*(asked if options.model else replayed), "--qeval-suite", "micro", f"--qeval-limit={options.problems}"]
    command += ([f"-n{options.workers}"] if options.workers else []) + options.more
    reference = folder / "reference"
    fork([*command, f"--qeval-output={reference}"], folder / "reference.txt").wait()
    same = kills = 0
    for number in range(options.runs):
        killed, found = soak(fork, command, folder / f"run-{number}", reference, draw)
        kills += killed
        same += not found
        print(f"run {number}: killed {killed} times: {'; '.join(found) or 'the same'}", flush=True)
    print(f"{same} of {options.runs} runs ended like the one that was not killed, after {kills} kills")
    if same == options.runs:
        shutil.rmtree(folder)
    return int(same < options.runs)


if __name__ == "__main__":
    raise SystemExit(main())
