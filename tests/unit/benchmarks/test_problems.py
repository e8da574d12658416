"""Problems are checked before the first one is used."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.problems import parse_problems
from pytest_qeval.errors import DataError

ROW = {
    "task_id": "t/0",
    "prompt": "def f(n):\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    "canonical_solution": "    return n\n",
}


def content(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_problems_keep_the_files_order_and_every_character() -> None:
    """Nothing is stripped: a blank at the end of a prompt is part of the prompt."""
    rows = [ROW | {"task_id": f"t/{number}", "prompt": "def f(n):\n    # é\n\n "} for number in (2, 0, 1)]

    found = parse_problems(content(*rows), benchmark="b", source="file")

    assert list(found) == ["t/2", "t/0", "t/1"]
    assert found["t/0"].prompt == "def f(n):\n    # é\n\n "


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"", "file holds no problems"),
        (b"\n\n", "file holds no problems"),
        (content(ROW)[:-20], "file, line 1: not JSON .*Is the file truncated"),
        (content(ROW) + b"\xff\n", r"file, line 2: not UTF-8 \(invalid start byte at byte 1\)"),
        (content(ROW).decode().encode("utf-16"), "file is UTF-16: save it as UTF-8"),
        (b"[" * 100_000, "file, line 1: not JSON"),
        (content([ROW]), "line 1: expected a JSON object, found list"),
        (content({"prompt": "p"}), "line 1: expected the text fields task_id, entry_point, test, canonical_solution"),
        (content({"task_id": "t/0", "prompt": "p"}), r"line 1 \(t/0\): expected the text fields entry_point, test"),
        (content(ROW | {"test": None}), r"line 1 \(t/0\): expected the text fields test"),
        (content(ROW | {"task_id": 7}), "line 1: expected the text fields task_id"),
        (content(ROW | {"task_id": " "}), "line 1 .*the task id is empty"),
        (content(ROW, ROW), "line 2: the task id 't/0' occurs twice"),
        (content(ROW | {"entry_point": "g"}), r"line 1 \(t/0\): prompt and canonical_solution define no function 'g'"),
        (
            content(ROW | {"canonical_solution": "return n"}),
            r"line 1 \(t/0\): .* together are no Python \(.*, line 2\)",
        ),
        (content(ROW | {"prompt": "\0"}), r"line 1 \(t/0\): prompt and canonical_solution together are no Python"),
        (content(ROW | {"test": "def check(:"}), r"line 1 \(t/0\): test is no Python \(.*, line 1\)"),
        (content(ROW | {"test": "assert f(1) == 1"}), r"line 1 \(t/0\): test defines no function check\(candidate\)"),
        (content(ROW | {"test": "def test():\n def check(f): pass"}), "test defines no function check"),
        (content(ROW | {"cluster": 7}), r"expected the text fields cluster\. The field cluster is 7, no text\."),
        (content(ROW | {"clutser": "a"}), r"the field 'clutser' is not known\. Did you mean 'cluster'\? Rename it"),
    ],
)
def test_bad_data_names_file_and_line(broken: bytes, message: str) -> None:
    """One sentence with the place, and with the problem where that is known."""
    with pytest.raises(DataError, match=message) as caught:
        parse_problems(broken, benchmark="b", source="file")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "test",
    [
        "from math import floor as check",
        "check = lambda candidate: None",
        "if True:\n    def check(candidate): pass\nelse:\n    check = None",
        "try:\n    import check.it\nexcept ImportError: pass",
        "async def check(candidate): pass",
    ],
)
def test_a_name_may_be_bound_in_any_way(test: str) -> None:
    """What Python accepts as a definition is accepted."""
    assert parse_problems(content(ROW | {"test": test}), benchmark="b", source="file")


def test_a_problem_may_name_its_cluster() -> None:
    rows = content(ROW) + content(ROW | {"task_id": "own/1", "cluster": "module a"})
    problems = parse_problems(rows, benchmark="own", source="own.jsonl")
    assert [problem.cluster for problem in problems.values()] == ["", "module a"]


def test_a_byte_order_mark_is_no_mistake() -> None:
    """Some editors begin a UTF-8 file with one."""
    assert parse_problems(b"\xef\xbb\xbf" + content(ROW), benchmark="b", source="file")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(garbage: bytes) -> None:
    """Whatever is no problem raises a data error and nothing else."""
    with pytest.raises(DataError):
        parse_problems(garbage, benchmark="b", source="file")
