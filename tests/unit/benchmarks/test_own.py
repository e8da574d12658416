import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.own import benchmark_of, check_name, from_dict, is_problems_file, read_problems, to_dict
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
    return BenchmarkLoader(settings, samples=lambda: None, post=messages.append)


def test_a_benchmark_is_called_like_its_file(tmp_path: Path) -> None:
    """Without the ending: that is what gates and reports name."""
    path = tmp_path / "our-own.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    benchmark = read_problems(path)

    assert benchmark.name == "our-own"
    assert benchmark.problems["t/0"].benchmark == "our-own"


def test_rows_made_in_python_are_checked_like_a_file() -> None:
    """Row and task id are named; equal rows give an equal checksum, whatever the order of their fields."""
    assert benchmark_of("mine", [ROW]).sha256 == benchmark_of("mine", [dict(sorted(ROW.items()))]).sha256
    with pytest.raises(DataError, match=r"the problems of mine, line 2 \(t/1\): test defines no function check"):
        benchmark_of("mine", [ROW, ROW | {"task_id": "t/1", "test": "pass"}])
    with pytest.raises(DataError, match="the problems of mine holds no problems"):
        benchmark_of("mine", [])


def test_another_process_learns_all_that_it_needs() -> None:
    """Through JSON: a controller of workers has never seen the file."""
    benchmark = benchmark_of("mine", [ROW, ROW | {"task_id": "t/1", "prompt": "def f(n):\n    # é\n"}])

    assert from_dict(json.loads(json.dumps(to_dict(benchmark)))) == benchmark
    scored = TextBenchmark(name="said", version="1", sha256="0", problems=benchmark.problems)
    assert from_dict(json.loads(json.dumps(to_dict(scored)))) == scored


@given(st.text(max_size=8))
def test_a_name_is_one_that_a_gate_can_write(name: str) -> None:
    """Whatever is accepted can be read in front of a metric."""
    from pytest_qeval.verdict.gates.grammar import parse_gate  # noqa: PLC0415 - above benchmarks in the house's order

    try:
        check_name(name, "here")
    except UsageError:
        return
    assert parse_gate(f"{name}:pass@1 >= 0.5").benchmark == name


@pytest.mark.parametrize(("text", "expected"), [("a.jsonl", True), ("b/a.jsonl.gz", True), ("humaneval", False)])
def test_a_file_is_told_from_a_name_by_its_ending(text: str, *, expected: bool) -> None:
    """No benchmark is called so."""
    assert is_problems_file(text) == expected


def test_a_benchmark_is_taken_once() -> None:
    """Two tests may name the same file, and reports hear of it once."""
    posted: list[Message] = []
    shelf = library(posted)
    for _ in range(2):
        assert shelf.adopt(benchmark_of("mine", [ROW]), origin="here") == "mine"

    assert [message.name for message in posted if isinstance(message, BenchmarkFacts)] == ["mine"]
    assert shelf.find("mine").problems.keys() == {"t/0"}


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        (benchmark_of("micro", [ROW]), "here: there is a benchmark 'micro' already"),
        (benchmark_of("taken", [ROW | {"task_id": "t/9"}]), "here: another benchmark of this run is called 'taken'"),
        (replace(benchmark_of("taken", [ROW]), stops=("#",)), "here: another benchmark of this run is called 'taken'"),
        (Benchmark(name="a b", version="1", sha256="", problems={}), "'a b' cannot be the name of a benchmark"),
        (Benchmark(name="empty", version="1", sha256="", problems={}), "the benchmark 'empty' holds no problems"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(benchmark: Benchmark, message: str) -> None:
    """A name stands for one set of problems."""
    shelf = library()
    shelf.adopt(benchmark_of("taken", [ROW]), origin="there")

    with pytest.raises(QEvalError, match=message):
        shelf.adopt(benchmark, origin="here")
