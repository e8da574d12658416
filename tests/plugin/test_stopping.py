"""Stopping early, by Ctrl-C or a timeout, loses nothing and leaves nothing."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.plugin.runs import REPLAY
from tests.sandboxes import accept_weakest
from tests.warm import WITHOUT

Run = Callable[..., pytest.RunResult]
Warm = Callable[[Sequence[str]], list[str]]

SUITE = """
import time
import pytest

@pytest.mark.qeval("micro")
def test_mine(qeval, case):
    qeval(case)
    if case.task_id == "micro/2":
        {}
"""


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let started processes receive Ctrl-C, also where a shell has started these tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def finished(path: Path) -> list[str]:
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row["task_id"] for row in rows if row["type"] == "record"]


def family(group: int) -> set[psutil.Process]:
    """Return the processes of a group but its first, with their children: sandboxes have groups of their own."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if process.pid != group and os.getpgid(process.pid) == group:
                found |= {process, *process.children(recursive=True)}
    return found


def test_ctrl_c_leaves_no_child_and_keeps_every_finished_case(pytester: pytest.Pytester, samples: Path) -> None:
    """The two cases before the one in flight are in the journal, the report says what is missing, no process stays."""
    pytester.makepyfile(test_mine=SUITE.format("time.sleep(60)"))
    command = [
        sys.executable, "-m", "pytest", *WITHOUT, *accept_weakest(REPLAY), str(samples),
        "--qeval-output", "out", "test_mine.py",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True)
    children: set[psutil.Process] = set()
    while len(finished(pytester.path / "out" / "records.jsonl")) < 2:
        children |= set(psutil.Process(process.pid).children(recursive=True))
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    children |= set(psutil.Process(process.pid).children(recursive=True))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert finished(pytester.path / "out" / "records.jsonl") == ["micro/0", "micro/1"]
    assert "6 of 8 cases missing" in output
    assert children
    _, alive = psutil.wait_procs(list(children), timeout=10)
    assert not alive


@pytest.mark.parametrize("mode", [(), ("-n2",)], ids=["alone", "-n2"])
def test_ctrl_c_while_a_model_generates_leaves_no_child(
    pytester: pytest.Pytester, warm_pytest: Warm, mode: tuple[str, ...]
) -> None:
    """As in a terminal, the whole process group is interrupted, in the midst of generation: the journal stays whole."""
    asked = [*mode, "--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-suite", "micro"]
    alone = ("--qeval-batch-size", "1", "--qeval-threads", "1", "--qeval-output", "out")
    process = subprocess.Popen(
        warm_pytest([*accept_weakest(asked), *alone]), cwd=pytester.path, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, preexec_fn=os.setpgrp,  # noqa: PLW1509
    )  # fmt: skip
    journal = pytester.path / "out" / "records.jsonl"
    children: set[psutil.Process] = set()
    while len(finished(journal)) < 3:
        assert process.poll() is None
        children |= family(process.pid)
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    missing = re.search(r"(\d+) of 178 cases missing", output)
    assert missing
    assert len(finished(journal)) == 178 - int(missing[1]) < 178
    assert json.loads((pytester.path / "out" / "report.json").read_text())["run"]["missing"] == int(missing[1])
    assert children
    _, alive = psutil.wait_procs(list(children), timeout=10)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_workers_end_with_a_controller_that_is_killed(pytester: pytest.Pytester, samples: Path) -> None:
    """A worker in the midst of a test ends, its sandboxes too, and the folder that workers share is removed."""
    pytester.makepyfile(test_mine=SUITE.format("time.sleep(600)"))
    command = [
        sys.executable, "-m", "pytest", "-n2", *WITHOUT, *accept_weakest(REPLAY), str(samples),
        "--qeval-output", "out", "test_mine.py",
    ]  # fmt: skip
    temporary = pytester.mkdir("temporary")
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    while len(finished(pytester.path / "out" / "records.jsonl")) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()

    assert len(children) > 2
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert not list(temporary.iterdir())


def test_a_timeout_fails_its_case_and_the_others_go_on(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """pytest-timeout ends one test; it is a fault, so its case is missing, and everything else is evaluated."""
    pytester.makepyfile(test_mine=SUITE.format("time.sleep(60)"))
    result = run("--timeout=1.5", *REPLAY, str(samples), "test_mine.py")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 failed, 5 passed, 2 unsolved*"])


def test_exitfirst_is_pytests_own(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """-x stops at a fault, not at an unsolved problem."""
    pytester.makepyfile(test_mine=SUITE.replace("micro/2", "micro/5").format("raise RuntimeError('broken')"))
    result = run("-x", *REPLAY, str(samples), "test_mine.py")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 failed, 4 passed, 1 unsolved*"])
