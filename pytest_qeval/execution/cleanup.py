"""Remove the processes and files that a program left, where no namespace does it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import time
from pathlib import Path

_KILL_TIMEOUT_S = 2.0
_POLL_S = 0.01


def kill_everybody_else() -> None:
    """Kill all other processes in the caller's process namespace, and reap the caller's children."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    _reap(0)


def kill_remains(group: int) -> None:
    """Kill what a program has started; its own process leads `group`.

    On Linux these are all its descendants, elsewhere those that have not left the group.
    """
    if sys.platform == "linux":
        kill_children()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses to signal zombies
            os.killpg(group, signal.SIGKILL)


def kill_children() -> None:
    """Kill and reap all children, also orphans that the caller adopts meanwhile (it is a subreaper)."""
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while _reap(os.WNOHANG) and time.monotonic() < deadline:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def end_children(patience_s: float) -> None:
    """Ask all children to end, and kill those that have not done so after a while; without `/proc` none is known."""
    deadline = time.monotonic() + patience_s
    with contextlib.suppress(OSError):
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while (alive := _reap(os.WNOHANG)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if alive:
            kill_children()


def _reap(options: int) -> bool:
    """Reap dead children; return whether others are alive."""
    try:
        while os.waitpid(-1, options)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _children() -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # "pid (name) state ppid …"; the name may hold spaces and parentheses
                status = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
                if int(status.split()[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


def remove_contents(directory: str) -> None:
    """Empty `directory`, whatever the depth and the permissions of its tree.

    Subdirectories are emptied by moving their entries to the top, so that neither the length of paths nor the depth of
    recursion grows with the tree.
    """
    serial = 0
    while entries := list(os.scandir(directory)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)  # noqa: PTH108 - names that need not be valid text
                continue
            _permit(entry)
            for inner in list(os.scandir(entry.path)):
                serial += 1
                if inner.is_dir(follow_symlinks=False):
                    _permit(inner)  # renaming a directory writes its `..`
                os.rename(inner.path, f"{directory}/removed-{os.getpid()}-{serial}")  # noqa: PTH104
            os.rmdir(entry.path)  # noqa: PTH106


def _permit(directory: os.DirEntry[str]) -> None:
    if directory.stat(follow_symlinks=False).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(directory.path, stat.S_IRWXU)  # noqa: PTH101
