"""Linux namespaces: do what bubblewrap does where bubblewrap is not installed, and give each program a process tree.

After `enter` a process is the first of a new process tree, has no network, and sees a root directory that holds only
the paths it was given, read-only, and an empty temporary directory.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

from pytest_qeval.execution import linux

# The new root is built over /proc: that directory exists everywhere and no Python is installed below it.
_STAGE = "/proc"


def enter(
    readable: Iterable[str], hidden: Iterable[str], devices: Iterable[str], scratch: str, scratch_bytes: int
) -> None:
    """Return in the first process of the new namespaces; the calling process waits for it and exits like it.

    Raises:
        OSError: when the kernel or its configuration does not allow it.
    """
    user, group = os.getuid(), os.getgid()
    linux.unshare(linux.ALL_NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    pid = os.fork()
    if pid:
        _wait_and_exit(pid)
    linux.set_death_signal(signal.SIGKILL)
    _build_root(readable, hidden, devices, scratch, scratch_bytes)
    socket.sethostname("sandbox")


def enter_process_tree() -> int:
    """Make the next child the first process of a new tree; return the argument for `leave_process_tree`."""
    own = os.pidfd_open(os.getpid())
    linux.unshare(linux.CLONE_NEWPID)
    return own


def leave_process_tree(own: int) -> None:
    """Start later children in the caller's own tree again."""
    linux.setns(own, linux.CLONE_NEWPID)
    os.close(own)


def can_nest() -> bool:
    """Return whether the calling process may create process trees."""
    try:
        leave_process_tree(enter_process_tree())
    except OSError:
        return False
    return True


def _wait_and_exit(pid: int) -> None:
    """Close the descriptors that the plugin watches, and end like the process `pid`."""
    linux.set_death_signal(signal.SIGKILL)  # again: `unshare` may have cleared it
    os.closerange(0, 1024)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _build_root(
    readable: Iterable[str], hidden: Iterable[str], devices: Iterable[str], scratch: str, scratch_bytes: int
) -> None:
    linux.make_private("/")
    linux.mount_tmpfs(_STAGE, 2**20)
    for path in readable:
        if Path(path).exists():
            linux.restrict_mount(_bind_below_stage(path), "readonly", "nosuid", "nodev")
    for path in hidden:
        linux.mount_tmpfs(_STAGE + path, 2**14)
    for path in devices:
        _bind_below_stage(path)
    target = Path(_STAGE + scratch)
    target.mkdir(parents=True, exist_ok=True)
    linux.restrict_mount(_STAGE, "readonly", "nosuid")
    linux.mount_tmpfs(str(target), scratch_bytes)
    linux.pivot_root(_STAGE)


def _bind_below_stage(path: str) -> str:
    """Make the real `path`, a directory or a file, appear at the same place of the new root."""
    source = Path(path).resolve()
    target = Path(_STAGE + path)
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    linux.bind(str(source), str(target))
    return str(target)
