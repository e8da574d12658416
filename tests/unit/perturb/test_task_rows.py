"""JSONL files with one row for each problem."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.task_rows import TaskRow, find_file, read_rows


class Row(TaskRow, frozen=True):
    text: str


@pytest.mark.parametrize(
    ("name", "written"), [("rows.jsonl", bytes), ("rows.jsonl.gz", gzip.compress), ("rows.jsonl", gzip.compress)]
)
def test_rows_are_read_by_task_id(tmp_path: Path, name: str, written: Callable[[bytes], bytes]) -> None:
    """Empty lines and further fields are ignored; of two rows with one task id the last counts."""
    text = b'{"task_id": "a", "text": "x"}\n\n{"task_id": "a", "text": "y", "more": 1}\n'
    path = tmp_path / name
    path.write_bytes(written(text))

    assert read_rows(path, Row) == {"a": Row(task_id="a", text="y")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'\n{"task_id": "a"}', r"rows\.jsonl, line 2: .*`text`.* Expected an object with task_id, text\."),
        (b"\xff", r"rows\.jsonl, line 1: "),
        (b"[]", r"line 1: Expected `object`, got `array`"),
    ],
)
def test_a_broken_row_is_refused_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        read_rows(path, Row)


@pytest.mark.parametrize("cut", [4, -4])
def test_a_truncated_archive_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"task_id": "a", "text": "x"}')[:cut])

    with pytest.raises(DataError, match=r"cannot read .*rows\.jsonl\.gz"):
        read_rows(path, Row)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no rows\.jsonl in .*: docs/robustness\.md says how to make it"):
        find_file(tmp_path, "rows.jsonl")
