"""Which file is it: know without reading it whether a file is the one that was read before."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

from pytest_qeval.engines.sources import ModelSource


class FileIdentity(NamedTuple):
    """What changes when a file is written to, truncated or replaced.

    A program can set `modified_ns` to what it was, but not `changed_ns`: the system sets it at every change, except on
    Windows, where it is the time of creation.
    """

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Return a file's present identity; links are followed."""
        stat = path.stat()
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def source_identity(source: ModelSource) -> Hashable:
    """Return what changes with any file of a model; empty for a hub model without files here, which has its commit.

    Ask before the files are read, so that a change meanwhile makes the next identity another one.
    """
    if source.path is None:
        return ()
    files = [source.path] if source.path.is_file() else sorted(source.path.iterdir())
    return tuple((file.name, FileIdentity.of(file)) for file in files if file.is_file())
