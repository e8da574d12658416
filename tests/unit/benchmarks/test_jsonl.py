import gzip
import json
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.jsonl import parse_problems, read_bytes
from pytest_qeval.errors import DataError

ROW = {"task_id": "t/0", "prompt": "p", "entry_point": "f", "test": "t", "canonical_solution": "s"}


def content(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_problems_keep_the_files_order_and_every_character() -> None:
    """Nothing is stripped: a blank at the end of a prompt is part of the question."""
    rows = [ROW | {"task_id": f"t/{number}", "prompt": "  def f():\n\n "} for number in (2, 0, 1)]

    found = parse_problems(content(*rows), benchmark="b", source="file")

    assert list(found) == ["t/2", "t/0", "t/1"]
    assert found["t/0"].prompt == "  def f():\n\n "


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"", "holds no problems"),
        (b"\n\n", "holds no problems"),
        (content(ROW)[:-20], "file, line 1: not JSON"),
        (content(ROW) + b"\xff\n", "file, line 2: not JSON"),
        (content([ROW]), "line 1: expected a JSON object, found list"),
        (content({"task_id": "t/0", "prompt": "p"}), "text fields entry_point, test, canonical_solution"),
        (content(ROW | {"test": None}), "text fields test"),
        (content(ROW, ROW), "line 2: the task id 't/0' occurs twice"),
    ],
)
def test_bad_data_names_file_and_line(broken: bytes, message: str) -> None:
    """One sentence that leads to the place."""
    with pytest.raises(DataError, match=message):
        parse_problems(broken, benchmark="b", source="file")


def test_compressed_files_are_read_and_broken_ones_refused(tmp_path: Path) -> None:
    """A truncated archive is a data error, no traceback."""
    whole = gzip.compress(content(ROW))
    (tmp_path / "whole.jsonl.gz").write_bytes(whole)
    (tmp_path / "torn.jsonl.gz").write_bytes(whole[:-9])
    (tmp_path / "fake.jsonl.gz").write_bytes(b"plain")

    assert read_bytes(tmp_path / "whole.jsonl.gz") == content(ROW)
    for name in ("torn.jsonl.gz", "fake.jsonl.gz", "absent.jsonl"):
        with pytest.raises(DataError, match="cannot read"):
            read_bytes(tmp_path / name)
