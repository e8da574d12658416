"""HumanEval infilling: problems with a suffix, the programs that completions become, and what ends them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import COMPLETION_STOPS, Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.infilling import MULTI_LINE, RANDOM_SPAN, SHA256, SINGLE_LINE
from pytest_qeval.benchmarks.selftest import RECIPES, make_completion
from pytest_qeval.engines.samples_file import read_samples
from pytest_qeval.errors import DataError
from pytest_qeval.plan import cases_of
from pytest_qeval.run.benchmarks import clusters_in
from pytest_qeval.schema import Case, Problem, Program, Prompt, PromptStyle
from pytest_qeval.settings import INFILLING
from pytest_qeval.summary.clusters import clusters_of
from pytest_qeval.summary.pooled import counted_once

ROW = {
    "task_id": "SingleLineInfilling/HumanEval/0/L1",
    "entry_point": "total",
    "prompt": "def total(values):\n    result = 0\n    for value in values:\n",
    "suffix": "    return result\n",
    "canonical_solution": "        result += value\n",
    "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n",
}
PROBLEM = Problem(benchmark="infilling-single-line", cluster="HumanEval/0", language="python", **ROW)
SOURCES = (SINGLE_LINE, MULTI_LINE, RANDOM_SPAN)


def benchmark_of(problem: Problem = PROBLEM, stops: tuple[str, ...] = ("\n",)) -> Benchmark:
    return Benchmark(
        name=problem.benchmark, version="1", sha256="0" * 64, problems={problem.task_id: problem}, stops=stops
    )


def write(
    folder: Path, row: Mapping[str, object], monkeypatch: pytest.MonkeyPatch, edition: str = "SingleLineInfilling"
) -> Path:
    """Write a file of one row, and take its checksum for the published one."""
    content = (json.dumps(row) + "\n").encode()
    (folder / f"HumanEval-{edition}.jsonl.gz").write_bytes(gzip.compress(content))
    monkeypatch.setitem(SHA256, edition, sha256(content).hexdigest())
    return folder


def test_a_row_becomes_a_problem_of_its_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases of one function belong together; the text on both sides is unchanged."""
    benchmark = SINGLE_LINE.load(write(tmp_path, ROW, monkeypatch))

    assert benchmark.problems == {ROW["task_id"]: PROBLEM}
    assert benchmark.infills
    assert SINGLE_LINE.is_here(tmp_path)
    assert not MULTI_LINE.is_here(tmp_path)


def test_single_lines_count_as_runs_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every single line is one of the runs, so that a pool counts it there."""
    row = {**ROW, "task_id": "MultiLineInfilling/HumanEval/0/L1_L1"}
    runs = MULTI_LINE.load(write(tmp_path, row, monkeypatch, "MultiLineInfilling"))
    lines = SINGLE_LINE.load(write(tmp_path, ROW, monkeypatch))
    shared = clusters_of(
        {one.name: {"clusters": clusters_in(one), "covers": one.covers} for one in (runs, lines)},
    )
    cases = {Case(benchmark=one.name, task_id=task_id) for one in (runs, lines) for task_id in one.problems}

    found = counted_once(cases, clusters=shared, covers={one.name: one.covers for one in (runs, lines)})
    assert {case.benchmark for case in found} == {"infilling-multi-line"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"suffix": None}, "expected the text fields suffix"),
        ({"task_id": "HumanEval/0"}, "expected a task id such as SingleLineInfilling/HumanEval/0/L0"),
        ({"suffix": "  return result"}, "prompt, canonical_solution and suffix together are no Python"),
        ({"entry_point": "sum_up"}, "define no function 'sum_up'"),
        ({"test": "x = 1"}, "test defines no function check"),
    ],
)
def test_a_broken_row_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(DataError, match=rf"SingleLineInfilling\.jsonl\.gz, line 1.*{sentence}"):
        SINGLE_LINE.load(write(tmp_path, {**ROW, **change}, monkeypatch))


def test_other_problems_are_refused(tmp_path: Path) -> None:
    """Scores on them could not be compared."""
    (tmp_path / "HumanEval-SingleLineInfilling.jsonl").write_text(json.dumps(ROW), "utf-8")

    with pytest.raises(DataError, match="is not HumanEval-SingleLineInfilling: sha256"):
        SINGLE_LINE.load(tmp_path)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_missing_file_is_one_sentence(source: BenchmarkSource, tmp_path: Path) -> None:
    """With the name of the file, and where it comes from."""
    for folder in (None, tmp_path):
        with pytest.raises(
            DataError, match=r"not on this machine: point --qeval-data at .*jsonl\.gz of openai/human-ev"
        ):
            source.load(folder)


@pytest.mark.parametrize("style", ["completion", "chat", "chat-prefilled", "source"])
def test_infilling_is_never_asked_by_chat(style: PromptStyle) -> None:
    """No message, no stop of a chat, no code that is extracted, whatever the style of the run."""
    benchmark = benchmark_of()
    fenced = "```python\n        result += value\n```"

    assert benchmark.prompt(PROBLEM, style) == Prompt(text=PROBLEM.prompt, suffix=PROBLEM.suffix)
    assert benchmark.stops_in(style) == ("\n",)
    assert fenced in benchmark.program(PROBLEM, fenced, style).code


def test_a_problem_without_a_suffix_is_filled_in_too() -> None:
    """In the same benchmark: where the last line is missing nothing follows."""
    last = replace(PROBLEM, task_id="b", prompt=PROBLEM.prompt + PROBLEM.canonical_solution, suffix="")
    benchmark = replace(benchmark_of(), problems={"a": PROBLEM, "b": last})

    assert benchmark.prompt(last).suffix == ""
    assert benchmark.prompt(last, "chat").user is None


@pytest.mark.parametrize(
    ("completion", "stops", "middle"),
    [
        ("        result += value", ("\n",), "        result += value\n"),
        ("        result += value\n", ("\n",), "        result += value\n"),
        ("  x\n  y", ("\n",), "  x\n  y\n"),
        ("", ("\n",), "\n"),
        ("        result += value", COMPLETION_STOPS, "        result += value"),
        ("  ", COMPLETION_STOPS, "  "),
    ],
)
def test_a_program_is_joined_without_changes(completion: str, stops: tuple[str, ...], middle: str) -> None:
    """Nothing is stripped; the line end that ended a completion is put back."""
    program = benchmark_of(stops=stops).program(PROBLEM, completion)

    assert program.code == PROBLEM.prompt + middle + PROBLEM.suffix
    assert program.follow_up == middle
    assert program.prelude == PROBLEM.prompt


def test_a_whole_program_is_taken_as_it_is() -> None:
    """As evalplus' samples are; what was filled in is told apart where prompt and suffix stand around it."""
    benchmark = benchmark_of()
    other = benchmark.program(PROBLEM, "def total(values):\n    return sum(values)\n", whole=True)
    same = benchmark.program(PROBLEM, PROBLEM.source(PROBLEM.canonical_solution), whole=True)

    assert other.code == other.follow_up == "def total(values):\n    return sum(values)\n"
    assert same.follow_up == PROBLEM.canonical_solution


def test_what_prompt_and_suffix_share_is_no_completion() -> None:
    """A program that is shorter than both together was not joined of them."""
    program = Program(prelude="ab", code="abc", test="", entry_point="f", suffix="bc")

    assert program.follow_up == "abc"


@pytest.mark.parametrize("completion", ["", "\n", "    # nothing\n"])
def test_nothing_may_be_filled_in(completion: str) -> None:
    """Some lines do not matter; the program decides."""
    assert not benchmark_of().is_empty(completion)
    assert replace(benchmark_of(), problems={"p": replace(PROBLEM, suffix="")}).is_empty(completion)


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "reference"])
@pytest.mark.parametrize(
    "problem",
    [
        PROBLEM,
        replace(PROBLEM, prompt="def total(values):\n    return su", canonical_solution="m(", suffix="values)\n"),
        replace(
            PROBLEM,
            prompt="def total(values):\n    if values:\n        return sum(values)\n",
            canonical_solution="    else:\n",
            suffix="        return 0",
        ),
    ],
    ids=["statement", "expression", "branch"],
)
def test_a_broken_completion_overrides_the_function(name: str, problem: Problem) -> None:
    """Wherever it stands: the suffix belongs to a function that nobody calls."""
    space: dict[str, object] = {}
    benchmark = benchmark_of(problem)
    code = benchmark.program(problem, make_completion(name, problem, benchmark)).code
    compile(code, "<program>", "exec")
    if name != "spoof":
        exec(code, space)  # noqa: S102 - our own source
        assert space["total"]([1, 2]) != 3  # type: ignore[operator]


def test_samples_files_and_ids_have_the_whole_task_id(tmp_path: Path) -> None:
    """Several slashes are part of it."""
    (case,) = cases_of(benchmark_of(), limit=None)
    line = {"task_id": case.label, "completion": "        result += value\n"}
    (tmp_path / "samples.jsonl").write_text(json.dumps(line), "utf-8")

    assert case.label == ROW["task_id"]
    assert case.label in read_samples(tmp_path / "samples.jsonl").completions


def test_every_suite_has_a_benchmark() -> None:
    """And the names of both are the same."""
    assert set(INFILLING) == {source.name for source in SOURCES}
    assert {registry.load("benchmarks", name) for name in INFILLING} == set(SOURCES)
