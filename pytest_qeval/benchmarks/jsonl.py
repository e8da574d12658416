"""Problems from JSON lines in HumanEval's fields, checked before the first one is asked."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem

__all__ = ["iter_rows", "parse_problems", "read_bytes", "sha256_of"]

_FIELDS = ("task_id", "prompt", "entry_point", "test", "canonical_solution")


def read_bytes(path: Path) -> bytes:
    """Read a file, uncompressed when its name ends in `.gz`.

    Raises:
        DataError: when it cannot be read or is no gzip file.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError) as error:  # gzip.BadGzipFile is an OSError; EOFError is a truncated one
        raise DataError(f"cannot read {path}: {error}") from error


def sha256_of(content: bytes) -> str:
    """Give the SHA-256 of a data file's uncompressed bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def iter_rows(content: bytes, *, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for every line that is not blank.

    Raises:
        DataError: naming `source` and the line, when a line is not UTF-8 or not a JSON object.
    """
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:  # UnicodeDecodeError and JSONDecodeError alike
            raise DataError(f"{source}, line {number}: not JSON ({error}). Is the file truncated?") from error
        if not isinstance(row, dict):
            raise DataError(f"{source}, line {number}: expected a JSON object, found {type(row).__name__}.")
        yield number, row


def parse_problems(content: bytes, *, benchmark: str, source: str) -> Mapping[str, Problem]:
    """Read problems in HumanEval's fields, in the file's order.

    Raises:
        DataError: naming `source` and the line, for a missing field, a field that is no string, or a repeated task id.
    """
    problems: dict[str, Problem] = {}
    for number, row in iter_rows(content, source=source):
        missing = [name for name in _FIELDS if not isinstance(row.get(name), str)]
        if missing:
            raise DataError(f"{source}, line {number}: expected the text fields {', '.join(missing)}.")
        if row["task_id"] in problems:
            raise DataError(f"{source}, line {number}: the task id {row['task_id']!r} occurs twice.")
        problems[row["task_id"]] = Problem(benchmark=benchmark, **{name: row[name] for name in _FIELDS})
    if not problems:
        raise DataError(f"{source} holds no problems.")
    return problems
