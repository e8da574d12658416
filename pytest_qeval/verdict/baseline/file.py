"""The baseline artefact: everything that a run found out about its baseline, in one file for later runs.

A gzip-compressed JSON object that `gzip -d` and `python -m json.tool` can show. Its bytes depend on nothing but its
content, so that a repository or a cache can tell whether it has changed.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypedDict

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.records.checks import check_fields, check_header, check_message, check_plain, decode
from pytest_qeval.schema import Case, Json, Record

__all__ = ["SCHEMA", "Baseline", "differences", "is_baseline_file", "read_baseline", "refusal", "write_baseline"]

SCHEMA = "qeval-baseline/1"

_MAGIC = b"\x1f\x8b"
_MOST_BYTES = 256 * 2**20
"""Uncompressed. HumanEval with 200 samples a problem takes a tenth; parsing takes several times as much memory."""
_CHUNK = 2**20
_LEVEL = 6
"""Of compression; 9 saves 0.4 % of the size and takes 1.6 times as long (measured 2026-11 on scores of 164 texts)."""
_REMEDY = "make the baseline again with --qeval-save-baseline"
_COSTS = ("generation", "stream")
"""Messages about what a machine took."""
_NO_COSTS = dict.fromkeys(("load_s", "quantize_s", "quantize_peak_bytes"))
_NO_LATENCY = dict.fromkeys(("ttft_s", "duration_s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What is known about a baseline."""

    recipe: str
    key: Mapping[str, Any]
    """The conditions under which it may stand in for one that is run: names to plain values."""
    run: Json
    """The `RunHeader` of the run that made it, as a dict."""
    messages: tuple[Json, ...]
    """What the session was told about the recipe."""
    records: Mapping[Case, Record] = field(init=False, repr=False, compare=False)
    """What the messages say about cases; the last record of a case counts, as in a session."""

    def __post_init__(self) -> None:
        """Read the records once."""
        records = (Record.from_dict(message) for message in self.messages if message["type"] == "record")
        object.__setattr__(self, "records", {record.case: record for record in records})

    def renamed(self, name: str) -> Baseline:
        """Return the same baseline under another recipe's name."""
        return replace(self, recipe=name, messages=tuple(_renamed(message, name) for message in self.messages))

    def merged(self, newer: Baseline) -> Baseline:
        """Return the newer baseline with what only this one knows; it is as old as its oldest completion.

        Answers to a benchmark whose data have changed since are left out. What it took to generate answers of two runs
        is nobody's cost, and left out as well.
        """
        older = self.renamed(newer.recipe)
        changed = {name.partition(".")[2] for name in newer.key if newer.key[name] != older.key.get(name)}
        cases = {case for case in older.records if case.benchmark not in changed} - newer.records.keys()
        told = {_subject(message) for message in newer.messages}
        kept = [message for message in older.messages if _is_kept(message, cases, told)]
        mixed = bool(cases) and bool(newer.records)
        messages = (message for message in (*kept, *newer.messages) if not (mixed and message["type"] == "generation"))
        return replace(
            newer,
            key={**older.key, **newer.key},
            run=older.run if cases else newer.run,
            messages=tuple(messages),
        )

    def without_costs(self) -> Baseline:
        """Return what holds on any machine: the answers, without what they took."""
        return replace(self, messages=tuple(_costless(row) for row in self.messages if row["type"] not in _COSTS))


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write the file, or leave what was there before as it is; folders are made.

    Raises:
        UsageError: when it cannot be written.
    """
    content = _compressed(_document(baseline), path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UsageError(
            f"the baseline cannot be written to {path}: {error.strerror}. Name a file that can be made and written to."
        ) from error


def read_baseline(path: Path) -> Baseline:
    """Read what `write_baseline` wrote, and trust nothing of it.

    Raises:
        DataError: naming the file, and the field that is wrong.
    """
    content = _decompressed(path)
    try:
        return _parse(decode(content))
    except ValueError as error:
        remedy = "" if _REMEDY in str(error) else f" Expected a baseline of pytest-qeval: {_REMEDY}."
        raise DataError(f"{path}: {error}.{remedy}") from error


def is_baseline_file(path: Path) -> bool:
    """Return whether a path names a saved baseline: by its ending `.json.gz`, or by its content."""
    if path.name.endswith(".json.gz"):
        return True
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, ...]:
    """Say in which conditions of a run a saved baseline differs, one line each; others of the baseline do not count.

    Example: `generation.max_new_tokens: 512 here, 256 there`.
    """
    return tuple(
        f"{name}: {_said(value)} here, {_said(theirs[name]) if name in theirs else 'unknown'} there"
        for name, value in ours.items()
        if name not in theirs or theirs[name] != value
    )


def refusal(path: Path, found: Sequence[str]) -> str:
    """Say why a saved baseline cannot stand in for one that is run, and what to do."""
    return (
        f"{path} was made under other conditions ({'; '.join(found)}): "
        f"{_REMEDY}, or accept the differences with --qeval-baseline-force."
    )


def _is_kept(message: Json, cases: set[Case], told: set[tuple[str, Any]]) -> bool:
    """Return whether an older message still says something beside newer ones, which have `told` what they are about."""
    if message["type"] == "record":
        return Record.from_dict(message).case in cases
    if message["type"] == "generation":
        return bool(cases)
    return _subject(message) not in told


def _said(value: object) -> str:
    return "none" if value is None else str(value)


def _subject(message: Json) -> tuple[str, Any]:
    """Say what a message is about, besides its recipe."""
    return message["type"], message.get("name" if message["type"] == "benchmark" else "benchmark")


def _renamed(message: Json, name: str) -> Json:
    own = "name" if message["type"] == "recipe" else "recipe"
    return {**message, own: name} if own in message else message


def _costless(message: Json) -> Json:
    if message["type"] == "recipe":
        return {**message, **_NO_COSTS}
    if message["type"] == "record":
        return {**message, "samples": [{**sample, **_NO_LATENCY} for sample in message["samples"]]}
    return message


def _document(baseline: Baseline) -> Json:
    """Return the file's content; of a case that was recorded twice, the record that counts."""
    rows = {Record.from_dict(row).case if row["type"] == "record" else id(row): row for row in baseline.messages}
    named = {"schema": SCHEMA, "recipe": baseline.recipe, "key": dict(baseline.key), "run": baseline.run}
    return {**named, "messages": list(rows.values())}


def _compressed(document: Json, path: Path) -> bytes:
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        content = text.encode("utf-8", errors="replace")  # as the journal does
        _parse(decode(content))
    except ValueError as error:
        raise UsageError(f"the baseline is not written to {path}, for it could not be read again: {error}.") from error
    packed = BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def _decompressed(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is no file. Expected a saved baseline: {_REMEDY}.")
        with gzip.open(path, "rb") as file:
            content = BytesIO()
            while chunk := file.read(_CHUNK):
                content.write(chunk)
                if content.tell() > _MOST_BYTES:
                    size = f"{_MOST_BYTES >> 20} MB"
                    raise DataError(f"{path} holds more than {size}, unpacked. No baseline is that long: {_REMEDY}.")
            return content.getvalue()
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError; EOFError is a truncated one
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}. Expected a saved baseline: {_REMEDY}.") from error


class _Document(TypedDict):
    schema: str
    recipe: str
    key: dict[str, Any]
    run: dict[str, Any]
    messages: list[Any]


def _parse(document: object) -> Baseline:
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - it is a file's value that is wrong
    _check_schema(document.get("schema"))
    rows = document.get("messages")
    if not isinstance(rows, list):
        raise ValueError("messages: expected a list")  # noqa: TRY004 - as above
    fields = check_fields({**document, "messages": []}, _Document)
    check_plain({"key": fields["key"]})
    for name, value in fields["key"].items():
        if isinstance(value, (dict, list)):
            raise ValueError(f"key: {name}: expected a plain value")  # noqa: TRY004 - as above
    try:
        run = check_header(fields["run"])
    except ValueError as error:
        raise ValueError(f"run: {error}") from None
    messages = tuple(_message(row, index, fields["recipe"]) for index, row in enumerate(rows))
    cases = Counter(Record.from_dict(row).case for row in messages if row["type"] == "record")
    for case in (case for case, count in cases.items() if count > 1):
        raise ValueError(f"{case.benchmark} has more than one record of {case.label}")
    return Baseline(recipe=fields["recipe"], key=fields["key"], run=run, messages=messages)


def _check_schema(found: object) -> None:
    if found == SCHEMA:
        return
    name, _, version = SCHEMA.partition("/")
    number = re.fullmatch(rf"{name}/(\d{{1,9}})", found, re.ASCII) if isinstance(found, str) else None
    if number and int(number[1]) > int(version):
        raise ValueError(f"{found}: written by a newer version; update pytest-qeval or {_REMEDY}")
    raise ValueError(f"its schema is {str(found)[:40]!r}, not {SCHEMA!r}")


def _message(row: object, index: int, recipe: str) -> Json:
    try:
        message = check_message(row)
    except ValueError as error:
        raise ValueError(f"messages[{index}]: {error}") from None
    own = "name" if message["type"] == "recipe" else "recipe"
    if message.get(own, recipe) != recipe:
        raise ValueError(f"messages[{index}]: {own}: expected {recipe!r}, not {str(message[own])[:40]!r}")
    return message
