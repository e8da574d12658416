"""Read JSONL files with one row for each problem."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from pytest_qeval.errors import DataError

_GZIP = b"\x1f\x8b"
"""First bytes of a gzip file."""


class TaskRow(msgspec.Struct, frozen=True):
    """The field that every row has; fields of a file that a subclass does not name are ignored."""

    task_id: str


Row = TypeVar("Row", bound=TaskRow)


def find_file(data: Path, name: str) -> Path:
    """Return the path of a file in the folder of `--qeval-data`.

    Raises:
        DataError: when it is missing.
    """
    path = data / name
    if not path.is_file():
        raise DataError(f"there is no {name} in {data}: docs/robustness.md says how to make it")
    return path


def read_rows(path: Path, row_type: type[Row]) -> Mapping[str, Row]:
    """Read a file by task id, gzipped or not; of two rows with one task id the last counts.

    Raises:
        DataError: when it cannot be read, or naming the line that is not UTF-8, not JSON or not such a row.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" or content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:  # truncated or corrupt gzip data included
        raise DataError(f"cannot read {path}: {error}") from error
    rows: dict[str, Row] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                row = msgspec.json.decode(line, type=row_type)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
                expected = ", ".join(row_type.__struct_fields__)
                raise DataError(f"{path}, line {number}: {error}. Expected an object with {expected}.") from error
            rows[row.task_id] = row
    return rows
