"""Bound memory and processes of a whole sandbox by a cgroup (version 2), where this user may make one.

The limits of resources hold for each process. A cgroup also counts what they do not see: files in memory, and whatever
a program has managed to start. Most containers and login shells allow no cgroup; a user's session under systemd does.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_PROCESSES = 128
"""Threads and processes of one sandbox: worker, judge, and a program that may have half of them."""
_OWN_BYTES = 256 * 2**20
"""Memory of the worker, and files of the program."""
_REMOVE_TIMEOUT_S = 2.0
_POLL_S = 0.01


class NoControlGroupError(Exception):
    """No cgroup can be made; the message is the reason."""


class ControlGroup:
    """A cgroup of one sandbox."""

    def __init__(self, path: Path) -> None:
        """Use an empty cgroup, and bound its processes."""
        self._path = path
        self._memory_bytes = 0
        (path / "pids.max").write_text(str(_PROCESSES), encoding="ascii")

    def command(self) -> list[str]:
        """Return what enters the cgroup, in front of a command line."""
        return ["/bin/sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(self._path)]

    def bound_memory(self, memory_bytes: int) -> None:
        """Leave room for a program and its judge, of `memory_bytes` each."""
        if memory_bytes == self._memory_bytes:
            return
        self._memory_bytes = memory_bytes
        (self._path / "memory.max").write_text(str(2 * memory_bytes + _OWN_BYTES), encoding="ascii")
        swap = self._path / "memory.swap.max"  # missing where the kernel does not count swap
        if swap.exists():
            swap.write_text("0", encoding="ascii")

    def remove(self) -> None:
        """Kill whatever has survived in it (Linux 5.14), and remove it."""
        with contextlib.suppress(OSError):
            (self._path / "cgroup.kill").write_text("1", encoding="ascii")
        deadline = time.monotonic() + _REMOVE_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self._path.rmdir()
            if not self._path.exists():
                return
            time.sleep(_POLL_S)  # a killed process is counted until its parent has seen it


def make_control_group(*, root: Path = _ROOT, own: Path = _OWN) -> ControlGroup:
    """Make a cgroup beside or below the one of this process.

    Raises:
        NoControlGroupError: where that is not allowed, or would bound nothing.
    """
    reason = "this system has no cgroup v2"
    for parent in _parents(root, own):
        path = parent / f"pytest-qeval-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            path.mkdir()
        except OSError as error:
            reason = f"no cgroup can be made in {parent}: {error.strerror}"
            continue
        try:
            return _usable(path)
        except (OSError, NoControlGroupError) as error:
            reason = str(error)
            with contextlib.suppress(OSError):
                path.rmdir()
    raise NoControlGroupError(reason)


def describe_limits() -> str:
    """Return what bounds a whole sandbox: `cgroup`, or why only its processes are bounded; empty outside Linux."""
    if sys.platform != "linux":
        return ""
    try:
        make_control_group().remove()
    except NoControlGroupError as error:
        return f"no cgroup: {error}"
    return "cgroup"


def _parents(root: Path, own: Path) -> Iterator[Path]:
    """Yield the cgroup of this process, and the one above it, which holds no process where systemd made it."""
    mounted = next((path for path in (root, root / "unified") if (path / "cgroup.controllers").exists()), None)
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    names = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    if mounted is None or not names:
        return
    here = mounted / names[0]
    yield here
    if here != mounted:
        yield here.parent


def _usable(path: Path) -> ControlGroup:
    """Return the cgroup, once a process has entered it."""
    if missing := [name for name in ("memory", "pids") if not (path / f"{name}.max").exists()]:
        raise NoControlGroupError(f"{path.parent} does not bound {' and '.join(missing)}")
    group = ControlGroup(path)
    done = subprocess.run([*group.command(), "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoControlGroupError(f"no process can be moved to a cgroup in {path.parent}")
    return group
