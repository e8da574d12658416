"""SHA-256 of files, kept in the user's cache: hashing a gigabyte takes seconds, and a model rarely changes.

A digest is taken from there only for the very file that was hashed: same path, inode, size and times. That is safe if
every change gives a new time. Hence the file lies on a disk of this machine: a network's times may be old ones, and
files in memory keep theirs when a program writes to a mapping of them. And it has not changed just now: it could change
once more within the same tick of the clock, or within the half minute after which the kernel notices again that a
mapping is written to.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from pytest_qeval.engines.identity import FileIdentity

_LEAST_BYTES = 2**24
"""Smaller files are hashed every time, within hundredths of a second."""
_SETTLED_NS = 60 * 10**9
"""Age of the last change from which a file's digest is kept."""
_MOST = 200
"""Files of which digests are kept, the latest ones."""


def sha256_of(path: Path) -> str:
    """Return the digest of a file's content, as `sha256sum` prints it."""
    before = FileIdentity.of(path)
    if before.size < _LEAST_BYTES or not _is_on_disk(before):
        return _hash(path)
    key, kept = str(path.resolve()), _read()
    match kept.get(key):
        case [list(identity), str(digest)] if identity == list(before):
            return digest
    digest = _hash(path)
    if _is_settled(before) and FileIdentity.of(path) == before:
        _write({**{name: row for name, row in kept.items() if name != key}, key: [before, digest]})
    return digest


def _is_on_disk(identity: FileIdentity) -> bool:
    """Return whether a file is on a block device; unknown, hence false, for btrfs and outside of Linux."""
    return sys.platform == "linux" and os.major(identity.device) != 0


def _is_settled(identity: FileIdentity) -> bool:
    return time.time_ns() - max(identity.modified_ns, identity.changed_ns) > _SETTLED_NS


def _hash(path: Path) -> str:
    digest, buffer = hashlib.sha256(), bytearray(2**20)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            digest.update(view[:size])
    return digest.hexdigest()


def _file() -> Path:
    return platformdirs.user_cache_path("pytest-qeval") / "digests.json"


def _read() -> dict[str, Any]:
    """Return what is kept; nothing where the file cannot be read, or is not ours."""
    with suppress(OSError, ValueError):
        found = json.loads(_file().read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _write(kept: dict[str, Any]) -> None:
    """Replace the file as a whole; a cache that cannot be written costs the time of hashing, and nothing else."""
    file = _file()
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps(dict(list(kept.items())[-_MOST:])), encoding="utf-8")
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
