"""`records.jsonl`: one line per message, flushed at once, so that a crash loses at most the case in flight.

A power cut loses up to a second more: so often the file is forced onto the disk.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.records.checks import decode_json, read_message
from pytest_qeval.records.messages import Message, RunStart, to_plain

_LOG = logging.getLogger(__name__)

_LONGEST_LINE = 64 * 2**20
"""Bytes; a case with 200 long samples takes less than one."""


_SYNC_S = 1.0
"""Seconds after which lines are on the disk at the latest, when another one is written."""


class Journal:
    """Writes JSON lines; only one process at a time writes those of a folder."""

    def __init__(self, path: Path, *, keep_bytes: int | None = None, size: int | None = None) -> None:
        """Make the folder and an empty file, or go on with a file after so many bytes, see `whole_lines`.

        An earlier journal that is not gone on with is kept beside the new one as `records.jsonl.bak`.

        Args:
            path: Of the file.
            keep_bytes: Bytes of the earlier journal that are kept; None begins a new one.
            size: Bytes that the whole earlier journal had when it was read; None takes any.

        Raises:
            UsageError: when another run writes there, or has done so since the journal was read, or the file cannot be
                written.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if keep_bytes is None and path.exists():
                with path.open("ab") as earlier:
                    _lock(earlier, path)
                    path.replace(path.with_name(f"{path.name}.bak"))
            self._file = path.open("ab", buffering=0)  # what a full disk refuses must not be left in a buffer
            _lock(self._file, path)
            if size is not None and path.stat().st_size != size:
                self._file.close()
                raise UsageError(f"another run has written to {path.parent} meanwhile: give the command again.")
            self._n_bytes = self._file.truncate(keep_bytes or 0)
        except OSError as error:
            raise _not_writable(path, error) from error
        self._synced_s = monotonic()

    def write(self, message: Message) -> None:
        """Append one line and hand it to the operating system, and to the disk where that is a second ago.

        Raises:
            UsageError: when the line cannot be written; no part of it is left, and the lines before it are kept.
        """
        # A program under test may raise an error whose text holds half a surrogate pair, which UTF-8 cannot encode.
        line = (json.dumps(to_plain(message), ensure_ascii=False) + "\n").encode("utf-8", "replace")
        try:
            self._append(line)
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._n_bytes)
            raise _not_writable(self._path, error) from error
        self._n_bytes += len(line)

    def _append(self, line: bytes) -> None:
        left = memoryview(line)
        while left:  # a disk that is nearly full takes a part
            left = left[self._file.write(left) :]
        if monotonic() - self._synced_s >= _SYNC_S:
            os.fsync(self._file.fileno())
            self._synced_s = monotonic()

    def close(self) -> None:
        """Close the file; calling it twice is fine."""
        self._file.close()


def _not_writable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} cannot be written: {error.strerror}. The finished cases in it are kept. Make room, or make the folder "
        "writable."
    )


def _lock(file: IO[Any], path: Path) -> None:
    """Lock a file until it is closed, where the system can; close one that cannot be had.

    Raises:
        UsageError: when another process has locked it.
    """
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UsageError(
            f"another run is writing to {path.parent}: wait for its end, or name another folder by --qeval-output."
        ) from None
    except OSError:  # a file system without locks
        return


def check_unlocked(path: Path) -> None:
    """Make sure that no other run is writing a journal.

    Raises:
        UsageError: when one is.
    """
    with path.open("ab") as file:
        _lock(file, path)


def whole_lines(path: Path) -> int:
    """Return the bytes of a journal up to the end of its last whole line: a crash may have cut the next one off."""
    with path.open("rb") as file:
        return sum(len(line) for line in file if line.endswith(b"\n"))


def read_journal(path: Path, *, n_bytes: int | None = None) -> tuple[RunStart, tuple[Message, ...]]:
    """Read a journal, or so many bytes of it: its first line, and the messages in the order in which they came.

    Messages of unknown types are left out. A last line that a crash cut off is left out with a warning in the log; its
    case is then one of the missing.

    Raises:
        DataError: naming file and line, when anything else is wrong.
    """
    try:
        messages = tuple(_messages(path, n_bytes))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Expected the records.jsonl of a run.") from error
    if not messages or not isinstance(messages[0], RunStart):
        raise DataError(f"{path} holds no run: expected the records.jsonl of one that got as far as its first case.")
    return messages[0], messages[1:]


def _messages(path: Path, n_bytes: int | None) -> Iterator[Message]:
    first = True
    for number, line in _lines(path, n_bytes):
        where = f"{path}, line {number}"
        try:
            row = decode_json(line)
        except ValueError as error:
            if not line.endswith(b"\n"):
                _LOG.warning("%s is cut off and left out: the run was ended while it was written.", where)
                return
            raise DataError(f"{where}: not JSON ({error}). Was the file edited? Run the evaluation again.") from error
        try:
            message = read_message(row)
        except ValueError as error:
            raise DataError(f"{where}: {error}. Expected what a run of pytest-qeval writes.") from error
        if isinstance(message, RunStart) != first:
            raise DataError(f"{where}: expected the run's own line to be the first and the only one of its kind.")
        first = False
        if message is not None:
            yield message


def _lines(path: Path, n_bytes: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield line numbers and lines with their ends; blank ones, which an editor may add, are left out."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no file. Expected the records.jsonl of a run.")
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
            if len(line) > _LONGEST_LINE:
                raise DataError(
                    f"{path}, line {number}: longer than {_LONGEST_LINE >> 20} MB. No run writes such lines."
                )
            if n_bytes is not None and file.tell() > n_bytes:
                return
            if line.strip():
                yield number, line
