"""The file of a saved baseline: a gzip-compressed JSON object that `gzip -d` and `python -m json.tool` can show.

Its bytes depend on nothing but its content, so that a repository or a cache can tell whether it has changed.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pytest_qeval.errors import DataError, UsageError, about
from pytest_qeval.facts import RunHeader
from pytest_qeval.records.checks import decode_json, read_fields, read_message
from pytest_qeval.records.messages import RecipeMessage, recipe_of, to_plain
from pytest_qeval.schema import Case, Record
from pytest_qeval.verdict.baseline.baseline import Baseline
from pytest_qeval.verdict.baseline.key import REMEDY

SCHEMA = "qeval-baseline/1"

_MOST_BYTES = 256 * 2**20
"""Uncompressed. HumanEval with 200 samples a problem takes a tenth; parsing takes several times as much memory."""
_MAGIC = b"\x1f\x8b"
"""First bytes of a gzip file."""
_LEVEL = 6
"""Of compression; 9 saves 0.4 % of the size and takes 1.6 times as long (measured 2026-11 on scores of 164 texts)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """The JSON object."""

    schema: str
    recipe: str
    key: dict[str, str | int | float | bool | None]
    run: dict[str, Any]
    messages: Sequence[object]


def is_baseline_file(path: Path) -> bool:
    """Return whether a path names a saved baseline: by its ending `.json.gz`, or by its content."""
    if path.name.endswith(".json.gz"):
        return True
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write the file, or leave what was there before as it is; folders are made.

    Raises:
        UsageError: when it cannot be written.
    """
    content = _compressed(baseline, path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _not_writable(path, error) from error


@about("save-baseline")
def check_writable(path: Path) -> None:
    """Make sure that a file can be written, without writing it.

    Raises:
        UsageError: when it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        # A file that is not there is not made: another run may write it meanwhile.
        with path.open("ab") if path.exists() else tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the baseline cannot be written to {path}: {error.strerror}. Name a file that can be made and written to."
    )


def read_baseline(path: Path) -> Baseline:
    """Read what `write_baseline` wrote, and trust nothing of it.

    Raises:
        DataError: naming the file, and the field that is wrong.
    """
    content = _decompressed(path)
    try:
        return _parse(decode_json(content))
    except ValueError as error:
        remedy = "" if REMEDY in str(error) else f" Expected a baseline of pytest-qeval: {REMEDY}."
        raise DataError(f"{path}: {error}.{remedy}") from error


def _compressed(baseline: Baseline, path: Path) -> bytes:
    document = {
        "schema": SCHEMA,
        "recipe": baseline.recipe,
        "key": dict(baseline.key),
        "run": asdict(baseline.run),
        "messages": list(map(to_plain, baseline.messages)),
    }
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        content = text.encode("utf-8", errors="replace")  # as the journal does
        _parse(decode_json(content))
    except ValueError as error:
        raise UsageError(f"the baseline is not written to {path}, for it could not be read again: {error}.") from error
    packed = BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def _decompressed(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is no file. Expected a saved baseline: {REMEDY}.")
        with gzip.open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError; EOFError is a truncated one
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}. Expected a saved baseline: {REMEDY}.") from error
    if len(content) > _MOST_BYTES:
        raise DataError(f"{path} holds more than {_MOST_BYTES >> 20} MB, unpacked. No baseline is that long: {REMEDY}.")
    return content


def _parse(content: object) -> Baseline:
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a value of the file is wrong
    _check_schema(content.get("schema"))
    rows = content.get("messages")
    if not isinstance(rows, list):
        raise ValueError("messages: expected a list")  # noqa: TRY004 - as above
    document = read_fields({**content, "messages": []}, _Document)  # messages are checked one by one
    try:
        run = read_fields(document.run, RunHeader)
    except ValueError as error:
        raise ValueError(f"run: {error}") from None
    messages: list[RecipeMessage] = []
    cases: set[Case] = set()
    for index, row in enumerate(rows):
        message = _message(row, index, document.recipe)
        if isinstance(message, Record):
            if message.case in cases:
                raise ValueError(f"{message.case.benchmark} has more than one record of {message.case.label}")
            cases.add(message.case)
        if message is not None:
            messages.append(message)
    return Baseline(recipe=document.recipe, key=document.key, run=run, messages=tuple(messages))


def _check_schema(found: object) -> None:
    if found == SCHEMA:
        return
    name, _, version = SCHEMA.partition("/")
    number = re.fullmatch(rf"{name}/(\d{{1,9}})", found, re.ASCII) if isinstance(found, str) else None
    if number and int(number[1]) > int(version):
        raise ValueError(f"{found}: written by a newer version; update pytest-qeval or {REMEDY}")
    raise ValueError(f"its schema is {str(found)[:40]!r}, not {SCHEMA!r}")


def _message(row: object, index: int, recipe: str) -> RecipeMessage | None:
    """Read a message; None for one that is not about a recipe, or of an unknown type."""
    try:
        message = read_message(row)
    except ValueError as error:
        raise ValueError(f"messages[{index}]: {error}") from None
    if not isinstance(message, RecipeMessage):
        return None
    if recipe_of(message) != recipe:
        raise ValueError(f"messages[{index}]: it is about {recipe_of(message)[:40]!r}, not {recipe!r}")
    return message
