"""Files that hold a line of JSON for each problem: read whole, by task id."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from pytest_qeval.errors import DataError

__all__ = ["TaskRow", "read_rows"]


class TaskRow(msgspec.Struct, frozen=True):
    """What a line has at least; fields of the file that a class does not name are passed over."""

    task_id: str


Row = TypeVar("Row", bound=TaskRow)


def read_rows(path: Path, row_type: type[Row]) -> Mapping[str, Row]:
    """Read a file, uncompressed when its name ends in `.gz`; of two lines with one task id the last counts.

    Raises:
        DataError: when it cannot be read, or naming the line that is not UTF-8, not JSON or not such a row.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:  # a torn archive, too
        raise DataError(f"cannot read {path}: {error}") from error
    lines = enumerate(content.splitlines(), 1)
    rows = [_row(line, row_type, f"{path}, line {number}") for number, line in lines if line.strip()]
    return {row.task_id: row for row in rows}


def _row(line: bytes, row_type: type[Row], where: str) -> Row:
    try:
        return msgspec.json.decode(line, type=row_type)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        expected = ", ".join(row_type.__struct_fields__)
        raise DataError(f"{where}: {error}. Expected an object with {expected}.") from error
