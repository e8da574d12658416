"""Rows of HumanEval+ and MBPP+: inputs and a reference, from which the test is made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pytest_qeval.benchmarks.jsonl import iter_rows
from pytest_qeval.benchmarks.plus import check as plus_check
from pytest_qeval.benchmarks.plus.shapes import ORACLES, SHAPES, Shape
from pytest_qeval.benchmarks.soundness import flaw_of_reference
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Json, Problem

__all__ = ["Row", "read_rows"]

_TEXTS = ("task_id", "prompt", "entry_point", "canonical_solution")
_KINDS = ("base_input", "plus_input")
_TEST = """\
import json

SOURCE = {source!r}
ARGUMENTS = {arguments!r}


def check(candidate):
    space = {{"__name__": "plus_check"}}
    exec(compile(SOURCE, "<check>", "exec"), space)
    found = space["find_disagreement"](candidate, **json.loads(ARGUMENTS))
    if found:
        raise AssertionError(found)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One problem of the file."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    inputs: Mapping[str, list[list[Any]]]
    """Lists of arguments as JSON has them, by kind: `base` and `plus`."""
    atol: float
    shape: Shape

    def problem(self, benchmark: str) -> Problem:
        """Return the problem, whose test compares with the reference on every input."""
        return Problem(
            benchmark=benchmark,
            task_id=self.task_id,
            prompt=self.prompt,
            entry_point=self.entry_point,
            test=self._test(),
            canonical_solution=self.canonical_solution,
        )

    def _test(self) -> str:
        # As JSON inside a literal, for a literal of many thousand values would take a second to compile.
        arguments = {
            "source": self.prompt + self.canonical_solution,
            "entry_point": self.entry_point,
            "inputs": self.inputs,
            "first": self.shape.first,
            "rest": self.shape.rest,
            "oracle": ORACLES.get(self.entry_point, "equal"),
            "atol": self.atol,
        }
        return _TEST.format(source=_source(), arguments=json.dumps(arguments))


@cache
def _source() -> str:
    return Path(plus_check.__file__).read_text(encoding="utf-8")


def read_rows(content: bytes, *, source: str) -> Iterator[Row]:
    """Read the file's rows in its order.

    Raises:
        DataError: naming `source`, the line and the task id, for whatever keeps a row from being asked or judged.
    """
    seen: set[str] = set()
    for number, fields in iter_rows(content, source=source):
        where = f"{source}, line {number}"
        if isinstance(fields.get("task_id"), str):
            where = f"{where} ({fields['task_id']})"
        row = _read(fields, where)
        if row.task_id in seen:
            raise DataError(f"{where}: the task id {row.task_id!r} occurs twice.")
        seen.add(row.task_id)
        yield row
    if not seen:
        raise DataError(f"{source} holds no problems.")


def _read(fields: Json, where: str) -> Row:
    wrong = [name for name in _TEXTS if not isinstance(fields.get(name), str)]
    if wrong:
        raise DataError(f"{where}: expected the text fields {', '.join(wrong)}.")
    atol = fields.get("atol")
    if isinstance(atol, bool) or not isinstance(atol, (int, float)) or not atol >= 0:
        raise DataError(f"{where}: expected a number from 0 on in the field atol.")
    row = Row(
        **{name: fields[name] for name in _TEXTS},
        inputs={kind.removesuffix("_input"): _inputs(fields.get(kind), kind, where) for kind in _KINDS},
        atol=float(atol),
        shape=SHAPES.get(fields["task_id"], Shape()),
    )
    flaw = flaw_of_reference(Problem(benchmark="", test="", **{name: fields[name] for name in _TEXTS}))
    if flaw:
        raise DataError(f"{where}: {flaw}.")
    if not any(row.inputs.values()):
        raise DataError(f"{where}: no inputs in {' and '.join(_KINDS)}: every answer would pass.")
    return row


def _inputs(value: object, kind: str, where: str) -> list[list[Any]]:
    if value == {}:  # where no further inputs were found, as in Mbpp/793 of the published file
        return []
    if not isinstance(value, list) or not all(isinstance(arguments, list) for arguments in value):
        raise DataError(f"{where}: expected a list of lists of arguments in the field {kind}.")
    return value
