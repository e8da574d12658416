"""Rows of CRUXEval's file: a function `f`, the arguments of a call, and what the call returns."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pytest_qeval.benchmarks.python_source import bound_names, parse
from pytest_qeval.benchmarks.rows import (
    fetch_rows,
    find_file,
    iter_rows,
    read_bytes,
    text_fields,
    to_jsonl,
    verify_sha256,
)
from pytest_qeval.errors import DataError

TITLE = "CRUXEval"
FILES = ("cruxeval.jsonl", "cruxeval.jsonl.gz")
SHA256 = "8368b81047dc5014e4caf5a2f97604eff7644e0ecd7415e3ceeb184bbc2e0c96"
"""Of the published `cruxeval.jsonl`, 800 rows."""

_HUB_ID = "cruxeval-org/cruxeval"
_FIELDS = ("code", "input", "output", "id")  # the published file's order
_ID = re.compile(r"sample_(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CruxRow:
    """One program with one call."""

    number: int
    code: str
    """A module that defines `f`."""
    arguments: str
    """Of the call, as they stand between its parentheses; `input` in the file."""
    output: str
    """Literal of what the call returns."""

    @property
    def call(self) -> str:
        """The call, an expression."""
        return f"f({self.arguments})"

    @property
    def parameters(self) -> int:
        """How many parameters `f` has."""
        return len(_function(parse(self.code)).args.args)

    @property
    def takes_function(self) -> bool:
        """Whether an argument is a function."""
        return any(isinstance(node, ast.Lambda) for node in ast.walk(parse(self.call)))


class CruxData(NamedTuple):
    """The rows, and the checksum of the file."""

    rows: Sequence[CruxRow]
    sha256: str


def is_here(data: Path | None) -> bool:
    """Return whether the user's data directory has the file."""
    return find_file([data], FILES) is not None


def read_data(data: Path | None) -> CruxData:
    """Read CRUXEval from the user's data directory, else from the hub.

    Raises:
        DataError: when neither has it, or the content is not CRUXEval's.
    """
    path = find_file([data], FILES)
    content, source = (read_bytes(path), str(path)) if path else (_fetch(), f"hub:{_HUB_ID}")
    # Rows before the checksum: of a torn or edited file the line says more than the digest.
    rows = read_rows(content, source=source)
    remedy = f"point --qeval-data at the original {FILES[0]}"
    return CruxData(rows, verify_sha256(content, SHA256, source=source, title=TITLE, remedy=remedy))


def read_rows(content: bytes, *, source: str) -> Sequence[CruxRow]:
    """Read the rows of a file.

    Raises:
        DataError: naming `source` and the line, for a row that cannot be prompted or judged.
    """
    rows: dict[int, CruxRow] = {}
    for line, fields in iter_rows(content, source=source):
        row = _read_row(fields, f"{source}, line {line}")
        if row.number in rows:
            raise DataError(f"{source}, line {line}: the id 'sample_{row.number}' occurs twice.")
        rows[row.number] = row
    if not rows:
        raise DataError(f"{source} holds no problems.")
    return tuple(rows.values())


def _read_row(fields: Mapping[str, Any], where: str) -> CruxRow:
    texts = text_fields(fields, _FIELDS, where)
    number = _ID.fullmatch(texts["id"])
    if number is None:
        raise DataError(f"{where}: expected an id such as sample_0, found {texts['id']!r}.")
    row = CruxRow(number=int(number[1]), code=texts["code"], arguments=texts["input"], output=texts["output"])
    if flaw := _find_flaw(row):
        raise DataError(f"{where} ({texts['id']}): {flaw}.")
    return row


def _find_flaw(row: CruxRow) -> str:
    """Return why a row is no problem, or an empty string; the self-test finds an output that is wrong."""
    if "\n" in row.arguments + row.output:  # where a completion ends
        return "input and output must be on one line"
    try:
        if "f" not in bound_names(row.code):
            return "code defines no function f"
        _function(parse(row.code))
    except (SyntaxError, ValueError, StopIteration):
        return "code is no Python that defines a function f"
    try:
        call = ast.parse(row.call, mode="eval").body
    except (SyntaxError, ValueError):
        call = None
    if not isinstance(call, ast.Call):
        return "input is not what stands between the parentheses of a call"
    try:
        ast.literal_eval(row.output)
    except (SyntaxError, ValueError, TypeError):
        return "output is no literal"
    return ""


def _function(module: ast.Module) -> ast.FunctionDef:
    return next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "f")


def _fetch() -> bytes:
    """Return the hub's rows as the published file's bytes."""
    remedy = f"point --qeval-data at a folder with {FILES[0]}"
    rows = fetch_rows(_HUB_ID, split="test", title=TITLE, remedy=remedy, fields=_FIELDS)
    return to_jsonl(rows).removesuffix(b"\n")  # the file's last line has no end
