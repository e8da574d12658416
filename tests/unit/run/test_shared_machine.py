"""Workers work together, and time recipes alone; a killed worker keeps nobody waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.run.shared_machine import SharedMachine

pytest.importorskip("fcntl")


def machine(folder: Path | None, settle: Callable[[], None] = lambda: None) -> SharedMachine:
    return SharedMachine(folder, settle=settle)


def in_thread(act: Callable[[], None]) -> tuple[threading.Thread, threading.Event]:
    """Start something that may have to wait; the event tells that it is through."""
    done = threading.Event()

    def run() -> None:
        act()
        done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, done


def test_workers_work_together(tmp_path: Path) -> None:
    one, two = machine(tmp_path), machine(tmp_path)
    one.work()
    two.work()
    one.work()


def test_whoever_times_waits_for_the_others_and_goes_before_their_next_case(tmp_path: Path) -> None:
    """Once the other worker has ended its programs."""
    events: list[str] = []
    worker, timer = machine(tmp_path, settle=lambda: events.append("settled")), machine(tmp_path)
    worker.work()
    events.clear()

    def time_alone() -> None:
        with timer.alone():
            events.append("alone")

    thread, done = in_thread(time_alone)
    assert not done.wait(0.2)
    while not done.wait(0.05):
        worker.work()  # the next case

    assert events[:2] == ["settled", "alone"]
    thread.join()


def test_nobody_works_while_one_times(tmp_path: Path) -> None:
    timer, worker = machine(tmp_path), machine(tmp_path)
    with timer.alone():
        thread, done = in_thread(worker.work)
        assert not done.wait(0.2)
    thread.join(10)
    assert done.is_set()


def test_two_that_time_take_turns(tmp_path: Path) -> None:
    """Also where both have worked before."""
    one, two = machine(tmp_path), machine(tmp_path)
    one.work()
    two.work()

    def time_alone() -> None:
        with two.alone():
            pass

    thread, _ = in_thread(time_alone)
    with one.alone():
        pass
    thread.join(10)
    assert not thread.is_alive()


def test_a_killed_worker_keeps_nobody_waiting(tmp_path: Path) -> None:
    """The kernel releases its locks."""
    script = (
        "import sys, time; from pathlib import Path; from pytest_qeval.run.shared_machine import SharedMachine\n"
        f"SharedMachine(Path({str(tmp_path)!r}), settle=lambda: None).work()\n"
        "print('works', flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=dict(os.environ))
    assert worker.stdout is not None
    worker.stdout.readline()
    worker.kill()
    worker.communicate()

    with machine(tmp_path).alone():
        pass


def test_one_process_alone_has_nobody_to_wait_for() -> None:
    """But for its own programs."""
    settled: list[bool] = []
    only = machine(None, settle=lambda: settled.append(True))
    only.work()
    with only.alone():
        assert settled
    only.close()
    only.close()


def test_a_closed_part_lets_others_go_on(tmp_path: Path) -> None:
    one = machine(tmp_path)
    one.work()
    one.close()

    with machine(tmp_path).alone():
        pass
