"""Problems from JSON lines in HumanEval's fields, checked before the first one is asked."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_qeval.benchmarks.soundness import flaw_of
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem

__all__ = ["iter_entries", "iter_rows", "parse_problems", "read_bytes", "sha256_of"]

_FIELDS = ("task_id", "prompt", "entry_point", "test", "canonical_solution")


def read_bytes(path: Path) -> bytes:
    """Read a file, uncompressed when its name ends in `.gz`.

    Raises:
        DataError: when it cannot be read or is no gzip file.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:  # EOFError is a torn file
        raise DataError(f"cannot read {path}: {error}. Is the archive complete?") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of a data file's uncompressed bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def iter_rows(content: bytes, *, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for every line that is not blank.

    Raises:
        DataError: naming `source` and the line, when a line is not UTF-8 or not a JSON object.
    """
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        if line.strip():
            where = f"{source}, line {number}"
            yield number, _expect_object(_parsed(line, where), where)


def iter_entries(content: bytes, *, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number from 1, object) for every entry of a file that is one JSON array.

    Raises:
        DataError: naming `source` and the entry.
    """
    entries = _parsed(content, source)
    if not isinstance(entries, list):
        raise DataError(f"{source}: expected a JSON array of objects, found {type(entries).__name__}.")
    for number, entry in enumerate(entries, start=1):
        yield number, _expect_object(entry, f"{source}, entry {number}")


def _parsed(text: bytes, where: str) -> Any:
    try:
        return json.loads(text.decode())
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 ({error.reason} at byte {error.start + 1}).") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}). Is the file truncated?") from error


def _expect_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(value).__name__}.")
    return value


def parse_problems(content: bytes, *, benchmark: str, source: str) -> Mapping[str, Problem]:
    """Read problems in HumanEval's fields, in the file's order.

    Raises:
        DataError: naming `source`, the line and the task id, for a missing field, a field that is no text, a repeated
            task id, or a problem that no answer could solve.
    """
    problems: dict[str, Problem] = {}
    for number, row in iter_rows(content, source=source):
        where = f"{source}, line {number}"
        problem = _problem(row, benchmark, where)
        if problem.task_id in problems:
            raise DataError(f"{where}: the task id {problem.task_id!r} occurs twice.")
        problems[problem.task_id] = problem
    if not problems:
        raise DataError(f"{source} holds no problems.")
    return problems


def _problem(row: Mapping[str, Any], benchmark: str, where: str) -> Problem:
    task_id = row.get("task_id")
    if isinstance(task_id, str):
        where = f"{where} ({task_id})"
    wrong = [name for name in _FIELDS if not isinstance(row.get(name), str)]
    if wrong:
        raise DataError(f"{where}: expected the text fields {', '.join(wrong)}.")
    problem = Problem(benchmark=benchmark, **{name: row[name] for name in _FIELDS})
    flaw = flaw_of(problem)
    if flaw:
        raise DataError(f"{where}: {flaw}.")
    return problem
