"""Plain processes on a system that is not Linux: nothing that only Linux has can be imported or called.

The tests run on Linux. A worker is started in which `sys.platform` says darwin, the modules for Linux fail to import,
calls that only Linux has are missing, and the address space cannot be limited, as on macOS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_qeval.execution import launch
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Program
from pytest_qeval.settings import ExecutionSettings

_ROOT = Path(__file__).parents[3]
_PLAY_MACOS = """
import builtins, os, resource, select, signal, socket, sys
sys.platform = 'darwin'
for name in ('linux', 'landlock', 'namespaces', 'seccomp'):
    sys.modules['pytest_qeval.execution.' + name] = None
for module, names in (
    (os, ('pidfd_open', 'prlimit', 'memfd_create', 'sched_setaffinity', 'waitid', 'unshare', 'setns')),
    (select, ('epoll',)),
    (signal, ('pidfd_send_signal',)),
    (resource, ('prlimit', 'RLIMIT_MSGQUEUE', 'RLIMIT_SIGPENDING')),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

def limit(kind, limits, really=resource.setrlimit):
    if kind == resource.RLIMIT_AS:
        raise ValueError('current limit exceeds maximum limit')
    really(kind, limits)

resource.setrlimit = limit

def refuse_proc(event, arguments):
    if event in ('open', 'os.scandir', 'os.listdir') and str(arguments[0]).startswith(('/proc', '/sys')):
        raise FileNotFoundError(2, 'No such file or directory', arguments[0])

sys.addaudithook(refuse_proc)
pair = socket.socketpair

def small_pair(*arguments):
    ends = pair(*arguments)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    return ends

socket.socketpair = small_pair
"""
_SETTINGS = ExecutionSettings(isolation="process", timeout_s=2.0, memory_bytes=256 * 2**20, workers=1)
_CHECK = "def check(candidate):\n    assert candidate(2) == 4\n"
_HONEST = "def double(n):\n    return 2 * n\n"


def _program(code: str, test: str = _CHECK, **more: object) -> Program:
    return Program(prelude="", code=code, test=test, entry_point="double", **more)  # type: ignore[arg-type]


@pytest.fixture
def others() -> set[psutil.Process]:
    """Return the children that this process has before the pool: tests share processes that start runs."""
    return set(psutil.Process().children())


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SandboxPool]:
    """Return a pool whose workers run on what looks like macOS."""
    monkeypatch.setattr(launch, "_START", f"exec({_PLAY_MACOS!r}); {launch._START}")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with SandboxPool(_SETTINGS) as pool:
        yield pool
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (_HONEST, "passed"),
        ("def double(n):\n    return n\n", "failed"),
        ("def double(n):\n    return undefined\n", "error"),
        ("def double(n)\n    return n\n", "syntax"),
        ("import os\nos._exit(0)\n", "error"),
        ("def double(n):\n    while True: pass\n", "timeout"),
        ("import time\ndef double(n):\n    time.sleep(60)\n", "timeout"),
        ("import os\ndef double(n):\n    for fd in range(3, 64):\n        os.close(fd)\n", "error"),
        ("import os\ndef double(n):\n    os.closerange(3, 64)\n    while True: pass\n", "tampered"),
        ("import numpy as np\ndef double(n):\n    return np.int64(n) * 2\n", "passed"),
    ],
)
def test_every_status_has_its_program(pool: SandboxPool, code: str, status: str) -> None:
    """Each program is judged as on Linux."""
    execution = pool.submit(_program(code)).result()
    assert execution.status == status, execution


def test_memory_is_watched(pool: SandboxPool) -> None:
    """The kernel does not bound it."""
    code = "import time\nx = bytearray(b'x') * 2**29\ntime.sleep(60)\n"
    execution = pool.submit(_program(code)).result()
    assert (execution.status, execution.detail) == ("memory", "used more than 256 MiB")


def test_files_are_watched(pool: SandboxPool) -> None:
    """A program that fills its folder is stopped; the next one finds it empty."""
    code = "import time\nfor n in range(6):\n    open(str(n), 'wb').write(bytes(15 * 2**20))\ntime.sleep(60)\n"
    assert pool.submit(_program(code)).result().detail == "wrote more than 64 MiB or 4096 files to its folder"
    empty = "import os\ndef double(n):\n    return 4 + len(os.listdir('.'))\n"
    assert pool.submit(_program(empty)).result().status == "passed"


def test_the_whole_group_is_killed(pool: SandboxPool, tmp_path: Path) -> None:
    """Also what a program starts in the background; nothing prevents that here."""
    mark = tmp_path / "children"
    code = (
        "import os, subprocess, sys\ndef double(n):\n    for _ in range(3):\n"
        "        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"        open({str(mark)!r}, 'a').write(f'{{child.pid}} ')\n    return 2 * n\n"
    )
    code = code.replace("sys.executable", repr(str(Path(sys.executable).resolve())))
    assert pool.submit(_program(code)).result().status == "passed"
    assert pool.submit(_program(_HONEST)).result().status == "passed"  # the clean-up is over
    children = [int(word) for word in mark.read_text().split()]
    mark.unlink()
    assert len(children) == 3
    assert [pid for pid in children if _is_alive(pid)] == []


def test_a_reply_may_be_larger_than_a_socket(pool: SandboxPool) -> None:
    """A judge sends what a test notes, and its socket holds 8 KiB on macOS."""
    test = "def note_expected(candidate):\n    return 'x' * 2**18\n\ndef check(candidate, noted):\n    assert True\n"
    execution = pool.submit(_program(_HONEST, test, is_reference=True)).result()
    assert execution.status == "passed"
    assert len(execution.expected) > 2**18  # type: ignore[attr-defined] # a ReferenceExecution


def test_a_program_does_not_outlive_a_killed_worker(others: set[psutil.Process], pool: SandboxPool) -> None:
    """Nothing kills it with its parent; a timer of its own does."""
    assert pool.submit(_program(_HONEST)).result().status == "passed"
    workers = [child for child in psutil.Process().children() if child not in others]
    assert workers
    future = pool.submit(_program("import time\ndef double(n):\n    time.sleep(60)\n", timeout_s=0.3))
    deadline = time.monotonic() + 20
    while not (below := _descendants(workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert below
    for worker in workers:
        worker.kill()
    future.result(timeout=60)
    deadline = time.monotonic() + 20
    while any(_is_alive(one.pid) for one in below) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [one for one in below if _is_alive(one.pid)] == []


_IMPORTS = f"""
{_PLAY_MACOS}
sys.path.insert(0, {str(_ROOT)!r})
from pytest_qeval.execution.isolation import choose_isolation
from pytest_qeval.execution.sandbox import SandboxPool
import pytest_qeval.hooks.start
print([name for name, module in sys.modules.items() if name.startswith('pytest_qeval.execution.') and module is None])
"""


def test_the_plugin_imports_nothing_that_only_linux_has() -> None:
    """Its own process never asks for the modules that fail to import here."""
    done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=True, env=os.environ)
    assert "landlock" in done.stdout


def _descendants(workers: list[psutil.Process]) -> list[psutil.Process]:
    return [process for worker in workers for process in worker.children(recursive=True)]


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
