"""Bound the files and, where the kernel does not, the memory of a program by looking at them now and then."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterator

CHECK_S = 0.1
"""Interval in which a program is looked at."""


def exceeds(folder: str, most_bytes: int, most_files: int) -> bool:
    """Return whether the files below a folder take more space, or are more, than allowed.

    A tree that is deeper than a path may be long counts as too much. Sparse files count by what they take.
    """
    seen: set[int] = set()
    used, pending = 0, [folder]
    while pending:
        directory = pending.pop()
        try:
            for entry, status in _content(directory):
                used += 0 if status.st_ino in seen else 512 * status.st_blocks
                seen.add(status.st_ino)
                if used > most_bytes or len(seen) > most_files:
                    return True
                if stat.S_ISDIR(status.st_mode):
                    pending.append(entry)
        except PermissionError:
            _permit(directory)
        except (FileNotFoundError, NotADirectoryError):  # the program has removed it meanwhile
            continue
        except OSError:
            return True
    return False


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has in use, as `ps` knows it; 0 for one that has ended."""
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout.strip()
    return 1024 * int(text) if text.isdigit() else 0


def _content(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and status of what is in a directory."""
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                yield entry.path, entry.stat(follow_symlinks=False)


def _permit(directory: str) -> None:
    """Make a directory readable that the program has closed; its content counts from the next check on."""
    try:
        os.chmod(directory, stat.S_IRWXU)  # noqa: PTH101 - a name that need not be valid text
    except OSError:
        return
