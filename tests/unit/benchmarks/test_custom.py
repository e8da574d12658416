"""A user's own problems."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.custom import (
    benchmark_from_dict,
    benchmark_to_dict,
    check_benchmark_name,
    is_problems_file,
    make_benchmark,
    read_problems,
)
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import DataError, QEvalError, UsageError
from pytest_qeval.facts import BenchmarkFacts
from pytest_qeval.records.messages import Message
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.settings import ModelSettings

ROW = {
    "task_id": "t/0",
    "prompt": "def f(n):\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    "canonical_solution": "    return n\n",
}


def library(posted: list[Message] | None = None) -> BenchmarkLoader:
    messages: list[Message] = [] if posted is None else posted
    settings = RunSettings(model=ModelSettings(name="tiny"), candidates=("int8",), baseline=None)
    return BenchmarkLoader(settings=settings, post=messages.append)


def test_a_benchmark_has_the_name_of_its_file(tmp_path: Path) -> None:
    """Without the ending: gates and reports use this name."""
    path = tmp_path / "our-own.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    benchmark = read_problems(path)

    assert benchmark.name == "our-own"
    assert benchmark.problems["t/0"].benchmark == "our-own"


def test_rows_made_in_python_are_checked_like_a_file() -> None:
    """Row and task id are named; equal rows give an equal checksum, whatever the order of their fields."""
    assert make_benchmark("mine", [ROW]).sha256 == make_benchmark("mine", [dict(sorted(ROW.items()))]).sha256
    with pytest.raises(DataError, match=r"the problems of mine, line 2 \(t/1\): test defines no function check"):
        make_benchmark("mine", [ROW, ROW | {"task_id": "t/1", "test": "pass"}])
    with pytest.raises(DataError, match="the problems of mine holds no problems"):
        make_benchmark("mine", [])


def test_a_benchmark_can_be_sent_to_another_process() -> None:
    """As JSON: the controller of workers has not read the file."""
    benchmark = make_benchmark("mine", [ROW, ROW | {"task_id": "t/1", "prompt": "def f(n):\n    # é\n"}])

    assert benchmark_from_dict(json.loads(json.dumps(benchmark_to_dict(benchmark)))) == benchmark
    scored = TextBenchmark(name="scored", version="1", sha256="0", problems=benchmark.problems)
    assert benchmark_from_dict(json.loads(json.dumps(benchmark_to_dict(scored)))) == scored


@given(st.text(max_size=8))
def test_an_accepted_name_can_be_used_in_a_gate(name: str) -> None:
    """It can be parsed in front of a metric."""
    from pytest_qeval.verdict.gates.grammar import parse_gate  # noqa: PLC0415 - in a higher layer than benchmarks

    try:
        check_benchmark_name(name, "here")
    except UsageError:
        return
    assert parse_gate(f"{name}:pass@1 >= 0.5").benchmark == name


@pytest.mark.parametrize(("text", "expected"), [("a.jsonl", True), ("b/a.jsonl.gz", True), ("humaneval", False)])
def test_a_file_is_recognized_by_its_ending(text: str, *, expected: bool) -> None:
    """No benchmark has such a name."""
    assert is_problems_file(text) == expected


def test_a_benchmark_is_adopted_once() -> None:
    """Two tests may name the same file, and its facts are posted once."""
    messages: list[Message] = []
    loader = library(messages)
    for _ in range(2):
        assert loader.adopt(make_benchmark("mine", [ROW]), origin="here") == "mine"

    assert [message.name for message in messages if isinstance(message, BenchmarkFacts)] == ["mine"]
    assert loader.find("mine").problems.keys() == {"t/0"}


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        (make_benchmark("micro", [ROW]), "here: there is a benchmark 'micro' already"),
        (make_benchmark("taken", [ROW | {"task_id": "t/9"}]), "here: another benchmark of this run is called 'taken'"),
        (
            replace(make_benchmark("taken", [ROW]), stops=("#",)),
            "here: another benchmark of this run is called 'taken'",
        ),
        (Benchmark(name="a b", version="1", sha256="", problems={}), "'a b' cannot be the name of a benchmark"),
        (Benchmark(name="empty", version="1", sha256="", problems={}), "the benchmark 'empty' holds no problems"),
    ],
)
def test_a_second_benchmark_of_a_name_is_refused(benchmark: Benchmark, message: str) -> None:
    """A name identifies one set of problems."""
    loader = library()
    loader.adopt(make_benchmark("taken", [ROW]), origin="there")

    with pytest.raises(QEvalError, match=message):
        loader.adopt(benchmark, origin="here")
