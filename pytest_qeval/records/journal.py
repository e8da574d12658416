"""`records.jsonl`: one line per message, flushed at once, so that a crash loses at most the case in flight."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pytest_qeval.errors import DataError
from pytest_qeval.records.checks import decode_json, read_message
from pytest_qeval.records.messages import Message, RunStart, to_plain

_LOG = logging.getLogger(__name__)

_LONGEST_LINE = 64 * 2**20
"""Bytes; a case with 200 long samples takes less than one."""


class Journal:
    """Writes JSON lines; an earlier journal of the same name is kept beside it as `records.jsonl.bak`."""

    def __init__(self, path: Path) -> None:
        """Make the folder and an empty file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.bak"))
        # A program under test may raise an error whose text holds half a surrogate pair, which UTF-8 cannot encode.
        self._file: IO[str] = path.open("w", encoding="utf-8", errors="replace")

    def write(self, message: Message) -> None:
        """Append one line and hand it to the operating system."""
        self._file.write(json.dumps(to_plain(message), ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; calling it twice is fine."""
        self._file.close()


def read_journal(path: Path) -> tuple[RunStart, tuple[Message, ...]]:
    """Read a journal: its first line, and the messages in the order in which they came.

    Messages of unknown types are left out. A last line that a crash cut off is left out with a warning in the log; its
    case is then one of the missing.

    Raises:
        DataError: naming file and line, when anything else is wrong.
    """
    try:
        messages = tuple(_messages(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Expected the records.jsonl of a run.") from error
    if not messages or not isinstance(messages[0], RunStart):
        raise DataError(f"{path} holds no run: expected the records.jsonl of one that got as far as its first case.")
    return messages[0], messages[1:]


def _messages(path: Path) -> Iterator[Message]:
    first = True
    for number, line in _lines(path):
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


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield line numbers and lines with their ends; blank ones, which an editor may add, are left out."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no file. Expected the records.jsonl of a run.")
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
            if len(line) > _LONGEST_LINE:
                raise DataError(
                    f"{path}, line {number}: longer than {_LONGEST_LINE >> 20} MB. No run writes such lines."
                )
            if line.strip():
                yield number, line
