"""A benchmark file that cannot be read is refused by a sentence that names file and line."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.benchmarks.custom import read_problems
from pytest_qeval.errors import DataError

PROBLEM = {
    "task_id": "HumanEval/0",
    "prompt": "def f(n):\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    "canonical_solution": "    return n\n",
}
LINE = json.dumps(PROBLEM)
BROKEN: dict[str, tuple[str, str, str | bytes, str]] = {
    "humaneval torn": ("humaneval", "HumanEval.jsonl", f"{LINE}\n{LINE[:-9]}", "HumanEval.jsonl, line 2: not JSON"),
    "humaneval without a field": ("humaneval", "HumanEval.jsonl", "{}", "line 1: expected the text fields task_id"),
    "humaneval of others": ("humaneval", "HumanEval.jsonl", LINE, "HumanEval.jsonl is not HumanEval: sha256"),
    "humaneval without check": (
        "humaneval",
        "HumanEval.jsonl",
        json.dumps(PROBLEM | {"test": "assert True"}),
        "line 1 (HumanEval/0): test defines no function check(candidate).",
    ),
    "a torn archive": (
        "humaneval",
        "HumanEval.jsonl.gz",
        gzip.compress(LINE.encode())[:-9],
        "Is the archive complete?",
    ),
    "no UTF-8": ("mbpp", "mbpp.jsonl", b"\xff", "mbpp.jsonl, line 1: not UTF-8"),
    "mbpp torn": ("mbpp", "mbpp.jsonl", '{"text": "", "code": ""', "mbpp.jsonl, line 1: not JSON"),
    "mbpp of a wrong type": (
        "mbpp",
        "mbpp.jsonl",
        '{"task_id": 3}',
        "line 1 (task id 3): expected the text fields text",
    ),
    "mbpp empty": ("mbpp", "mbpp.jsonl", "", "mbpp.jsonl holds no problems."),
    "sanitized mbpp": ("mbpp-sanitized", "sanitized-mbpp.json", "[1]", "sanitized-mbpp.json, entry 1: expected a JSON"),
    "cruxeval": ("cruxeval-input", "cruxeval.jsonl", "[]", "cruxeval.jsonl, line 1: expected a JSON object"),
    "cruxeval torn": ("cruxeval-output", "cruxeval.jsonl", '{"code": "', "cruxeval.jsonl, line 1: not JSON"),
    "mbpp-plus": ("mbpp-plus", "MbppPlus.jsonl", '{"task_id": "Mbpp/2"}', "line 1 (Mbpp/2): expected the text fields"),
}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("name", "file", "content", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_broken_benchmark_file_is_refused(
    tmp_path: Path, name: str, file: str, content: str | bytes, sentence: str
) -> None:
    """Nothing is fetched instead: the user meant this file. A checksum protects comparisons."""
    write(tmp_path / file, content)
    source: BenchmarkSource = registry.load("benchmarks", name)

    with pytest.raises(DataError, match=re.escape(sentence)):
        source.load(tmp_path)


OWN: dict[str, tuple[str | bytes, str]] = {
    "truncated": (LINE + "\n" + LINE[:-20], "bad.jsonl, line 2: not JSON"),
    "missing field": (
        json.dumps(PROBLEM | {"test": 1}),
        "bad.jsonl, line 1 (HumanEval/0): expected the text fields test.",
    ),
    "duplicate": (LINE + "\n" + LINE, "bad.jsonl, line 2: the task id 'HumanEval/0' occurs twice."),
    "no entry point": (
        json.dumps(PROBLEM | {"entry_point": "g"}),
        "line 1 (HumanEval/0): prompt and canonical_solution define no",
    ),
    "no check": (
        json.dumps(PROBLEM | {"test": "x = 1"}),
        "line 1 (HumanEval/0): test defines no function check(candidate).",
    ),
    "no UTF-8": (b"\xff", "bad.jsonl, line 1: not UTF-8"),
    "empty": ("", "bad.jsonl holds no problems."),
}


@pytest.mark.parametrize(("content", "sentence"), OWN.values(), ids=OWN)
def test_a_broken_file_of_the_users_is_refused(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    """The sentence names file, line and task id."""
    with pytest.raises(DataError, match=re.escape(sentence)):
        read_problems(write(tmp_path / "bad.jsonl", content))
