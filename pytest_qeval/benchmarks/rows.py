"""Rows of data files and of data sets on the Hugging Face hub."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_qeval.errors import DataError

_GZIP = b"\x1f\x8b"
"""First bytes of a gzip file."""


def find_file(folders: Iterable[Path | None], names: Iterable[str]) -> Path | None:
    """Return the first existing file with one of `names`, searching the folders in turn; skip None."""
    names = tuple(names)
    paths = (folder / name for folder in folders if folder for name in names)
    return next((path for path in paths if path.is_file()), None)


def read_bytes(path: Path) -> bytes:
    """Read a file, uncompressed when it is gzip's or its name ends in `.gz`.

    Raises:
        DataError: when it cannot be read or is no gzip file.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" or content.startswith(_GZIP) else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:  # EOFError is a torn file
        raise DataError(f"cannot read {path}: {error}. Is the archive complete?") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error


def fetch_rows(
    hub_id: str, *arguments: str, split: str, title: str, remedy: str, fields: Sequence[str] = ()
) -> Sequence[Mapping[str, Any]]:
    """Fetch a data set with `datasets`, which caches it.

    Args:
        hub_id: `owner/name`.
        arguments: Further arguments of `load_dataset`, such as the name of a configuration.
        split: One of its splits, or several joined by `+`.
        title: Name of the benchmark in messages.
        remedy: What helps where the hub cannot be reached.
        fields: Fields to keep, in this order; all by default.

    Raises:
        DataError: when the rows cannot be fetched, with the remedy.
    """
    try:
        from datasets import load_dataset  # noqa: PLC0415 - heavy, and the last resort
    except ImportError as error:
        raise DataError(f"{title}'s problems are not on this machine: {remedy}.") from error
    try:
        rows = [dict(row) for row in load_dataset(hub_id, *arguments, split=split)]
    except Exception as error:  # the hub's clients raise the exceptions of whatever transport they use
        reason = " ".join(str(error).split())  # some of them take many lines
        raise DataError(f"{title} could not be fetched from the hub ({reason}): {remedy}.") from error
    return [{name: row[name] for name in fields or row if name in row} for row in rows]


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of a data file's uncompressed bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def verify_sha256(content: bytes, expected: str, *, source: str, title: str, remedy: str) -> str:
    """Return the SHA-256 of `content`.

    Raises:
        DataError: when it is not the expected one.
    """
    digest = sha256_of(content)
    if digest != expected:
        raise DataError(
            f"{source} is not {title}: sha256 {digest[:12]}…, expected {expected[:12]}…. Scores on other data cannot "
            f"be compared with published ones: {remedy}."
        )
    return digest


def to_jsonl(rows: Iterable[object]) -> bytes:
    """Return one line of JSON for each row."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def iter_rows(content: bytes, *, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for every line of JSON that is not blank.

    Raises:
        DataError: naming `source` and the line, when a line is not UTF-8 or not a JSON object.
    """
    for number, line in enumerate(_utf8(content, source).splitlines(), start=1):
        if line.strip():
            where = f"{source}, line {number}"
            yield number, _expect_object(_parse(line, where), where)


def iter_entries(content: bytes, *, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number from 1, object) for every entry of a file that is one JSON array.

    Raises:
        DataError: naming `source` and the entry.
    """
    entries = _parse(_utf8(content, source), source)
    if not isinstance(entries, list):
        raise DataError(f"{source}: expected a JSON array of objects, found {type(entries).__name__}.")
    for number, entry in enumerate(entries, start=1):
        yield number, _expect_object(entry, f"{source}, entry {number}")


def text_fields(row: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, str]:
    """Return the fields `names` of a row.

    Raises:
        DataError: naming those that are missing or no text.
    """
    wrong = [name for name in names if not isinstance(row.get(name), str)]
    if wrong:
        given = "".join(f" The field {name} is {row[name]!r}, no text." for name in wrong if row.get(name) is not None)
        raise DataError(f"{where}: expected the text fields {', '.join(wrong)}.{given:.200}")
    return {name: row[name] for name in names}


def _utf8(content: bytes, source: str) -> bytes:
    """Return a file's content without its byte order mark; refuse other encodings, whose lines cannot be told."""
    encoding = json.detect_encoding(content)  # by the mark, or by where zero bytes stand
    if not encoding.startswith("utf-8"):
        raise DataError(f"{source} is {encoding[:6].upper()}: save it as UTF-8.")
    return content.removeprefix(codecs.BOM_UTF8)


def _parse(text: bytes, where: str) -> Any:
    try:
        return json.loads(text.decode(), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: not UTF-8 ({error.reason} at byte {error.start + 1}): save the file as UTF-8."
        ) from error
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}). Is the file truncated?") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a JSON object; of two with one name Python would take the last without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"the field {twice!r} occurs twice. Expected one value.")
    return found


def _expect_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(value).__name__}.")
    return value
