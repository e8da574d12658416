"""Programs that cheat, break out or break down: none passes, and none leaves anything behind.

Each program in `hostile_programs.txt` has to add two numbers. Where an attack aims at something outside (a file, a
connection, another process), the program returns the right answer if and only if the attack worked, so that a breach
shows as a pass.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from pytest_qeval.execution.client import WorkerClient
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Program
from pytest_qeval.settings import ExecutionSettings, IsolationName
from tests.sandboxes import skip_unless_usable

_MARKER = f"qeval-hostile-marker-{os.getpid()}"
_TIMEOUT_S = 1.0 + os.getpid() / 1e9  # identifies our workers by their command lines
_MEMORY_BYTES = 256 * 2**20
_TEST = "def check(candidate):\n    for a in range(3):\n        assert candidate(a, 7) == a + 7\n"
_HONEST = "def add(a, b):\n    return a + b\n"
_PLANTER = "import time\ndef add(a, b):\n    open('planted', 'w').close(); time.sleep(0.2)\n    return a + b\n"
_TOOLS = """
import contextlib, ctypes, gc, os, signal, socket, sys, threading, time

def frame(*values):
    from pytest_qeval.execution.channel import Channel
    return Channel.frame(*values)

def everywhere(data):
    for fd in range(256):
        with contextlib.suppress(OSError):
            os.write(fd, data)

def libc(name, *arguments):
    result = getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result
"""


class _Attack(NamedTuple):
    name: str
    code: str
    expected: frozenset[str]
    needs: str
    """What must exist where there are no namespaces: `filter` (of system calls), `landlock`, or nothing."""


def _read_attacks() -> list[_Attack]:
    source = Path(__file__).with_name("hostile_programs.txt").read_text(encoding="utf-8")
    source = re.sub(r"^## .*$", "", source, flags=re.MULTILINE)
    parts = re.split(r"^### (.+) -> ([a-z ]+?)(?: \[([a-z]+)\])?$", source, flags=re.MULTILINE)[1:]
    return [
        _Attack(name, code, frozenset(expected.split()), needs or "")
        for name, expected, needs, code in zip(*(iter(parts),) * 4, strict=True)
    ]


_ATTACKS = tuple(_read_attacks())


class _Canaries:
    """What stands outside of the sandboxes, and is looked at after each attack: a file, ports and a process."""

    def __init__(self, file: Path, listeners: tuple[socket.socket, ...], process: psutil.Process) -> None:
        self._file = file
        self._listeners = listeners
        self._process = process
        self._before = self._state()
        self.breaches: list[str] = []

    def check(self, name: str, _: Future[Execution]) -> None:
        """Note the attacks during which something has changed; others may have run at the same time."""
        if self._state() != self._before:
            self.breaches.append(f"{name}: the file or the process is another one")
        for listener in self._listeners:
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                self.breaches.append(f"{name}: a connection")

    def _state(self) -> tuple[object, ...]:
        status = self._file.stat()
        return (
            self._file.read_text(encoding="utf-8"),
            (status.st_mode, status.st_uid, status.st_mtime_ns, status.st_nlink),
            sorted(path.name for path in self._file.parent.iterdir()),
            self._process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE},
            (self._process.nice(), self._process.cpu_affinity()),
            self._process.rlimit(psutil.RLIMIT_NOFILE),
        )


class _Battle(NamedTuple):
    """Executions of attacks under one isolation, and of the honest programs between them."""

    executions: Mapping[str, Execution]
    honest: tuple[Execution, ...]
    breaches: tuple[str, ...]
    """What has changed outside, and after which attack."""
    survivors: tuple[str, ...]
    """Processes of ours that were there after the pool was closed."""


def _program(code: str) -> Program:
    return Program(prelude="", code=code, test=_TEST, entry_point="add")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that no program may touch."""
    path = tmp_path_factory.mktemp("private") / "victim"
    path.write_text("precious", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def battle(isolation: IsolationName, victim: Path, scratch: Path) -> Iterator[_Battle]:
    """Run attacks that this isolation claims to withstand, an honest program after each."""
    provided = _abilities(isolation)
    with _listeners(victim.parent / "unix") as (names, listeners), _sleeper() as sleeper:
        canaries = _Canaries(victim, listeners, sleeper)
        constants = {**names, "VICTIM": str(victim), "TMP": str(scratch), "SLEEPER": sleeper.pid}
        tools = _TOOLS + "".join(f"{name} = {value!r}\n" for name, value in constants.items())
        settings = ExecutionSettings(isolation=isolation, timeout_s=_TIMEOUT_S, memory_bytes=_MEMORY_BYTES, workers=4)
        with SandboxPool(settings) as pool:
            futures = {}
            honest = []
            for attack in _ATTACKS:
                if attack.needs in provided:
                    futures[attack.name] = future = pool.submit(_program(f"{tools}\n{attack.code}"))
                    future.add_done_callback(partial(canaries.check, attack.name))
                    planter = attack.name == "read another program's file"
                    honest.append(pool.submit(_program(_PLANTER if planter else _HONEST)))
            executions = {name: future.result() for name, future in futures.items()}
            finished = tuple(future.result() for future in honest)
        yield _Battle(executions, finished, tuple(canaries.breaches), tuple(_survivors()))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the directory in which our temporary directories are made."""
    path = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(path))
        yield path


@pytest.fixture(scope="module", params=["bwrap", "namespace", "landlock", "process"])
def isolation(request: pytest.FixtureRequest) -> IsolationName:
    """Return each isolation in turn."""
    name: IsolationName = request.param
    return name


def _abilities(isolation: IsolationName) -> set[str]:
    """Return the needs that are met; namespaces meet all, and Landlock has both layers by definition."""
    skip_unless_usable(isolation)
    client = WorkerClient(isolation, ExecutionSettings())
    client.close()
    if isolation != "process":
        return {"", "filter", "landlock"}
    layers = {"filter": client.abilities["system_call_filter"], "landlock": client.abilities["landlock"]}
    return {"", *(name for name, there in layers.items() if there)}


@contextlib.contextmanager
def _listeners(path: Path) -> Iterator[tuple[dict[str, object], tuple[socket.socket, ...]]]:
    """Listen where programs will try to connect."""
    tcp, named, abstract = socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    with tcp, named, abstract:
        tcp.bind(("127.0.0.1", 0))
        named.bind(str(path))
        abstract.bind(f"\0{_MARKER}")
        for listener in (tcp, named, abstract):
            listener.listen()
            listener.settimeout(0)
        names = {
            "PORT": tcp.getsockname()[1],
            "UNIX_SOCKET": str(path),
            "MARKER": _MARKER,
            "HOME": str(Path.home()),
            "HERE": str(Path(__file__).parent),
        }
        yield names, (tcp, named, abstract)
    path.unlink()


@contextlib.contextmanager
def _sleeper() -> Iterator[psutil.Process]:
    """Start a process that no program may touch."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def _survivors() -> Iterator[str]:
    """Find processes that our workers or the attacks have left, zombies aside."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if _MARKER in words or f'"timeout_s": {_TIMEOUT_S}' in words:
                yield words


def test_there_are_many_kinds_of_attack() -> None:
    """The table is read whole, and no name stands for two attacks."""
    assert len(_ATTACKS) > 150
    assert len({attack.name for attack in _ATTACKS}) == len(_ATTACKS)


def test_no_attack_passes(battle: _Battle) -> None:
    """Every hostile program has one of the statuses that say what it did."""
    expected = {attack.name: attack.expected for attack in _ATTACKS}
    wrong = {name: found for name, found in battle.executions.items() if found.status not in expected[name]}
    assert wrong == {}


def test_nothing_outside_changes(battle: _Battle) -> None:
    """The file, the ports and the process that stand outside are as before after each attack."""
    assert battle.breaches == ()


def test_honest_programs_between_attacks_pass(battle: _Battle) -> None:
    """No attack reaches the program that comes after it."""
    assert [found for found in battle.honest if found.status != "passed"] == []


def test_attacks_leave_nothing_behind(battle: _Battle, victim: Path, scratch: Path) -> None:
    """Neither processes nor files; and what was there is as it was."""
    assert battle.survivors == ()
    assert victim.read_text(encoding="utf-8") == "precious"
    places = (Path.home(), Path(__file__).parent, *map(Path, ("/", "/tmp", "/var/tmp", "/usr", "/etc", "/dev/shm")))  # noqa: S108
    assert [place for place in places if (place / _MARKER).exists()] == []
    assert list(scratch.iterdir()) == []


def test_plain_processes_withstand_what_the_kernel_lets_them(isolation: IsolationName, battle: _Battle) -> None:
    """Where an isolation is spared an attack, it is for a layer that it does not have, and never with namespaces."""
    spared = {attack.name for attack in _ATTACKS} - battle.executions.keys()
    if isolation != "process":
        assert spared == set()
    else:
        unmet = {"filter", "landlock"} - _abilities(isolation)
        assert spared == {attack.name for attack in _ATTACKS if attack.needs in unmet}
