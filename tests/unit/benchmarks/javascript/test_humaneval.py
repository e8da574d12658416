"""HumanEval in JavaScript: rows become problems, completions become programs, and everything else is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.javascript import humaneval
from pytest_qeval.benchmarks.javascript.humaneval import EXCLUDED, HUMANEVAL_JS, references
from pytest_qeval.benchmarks.rows import sha256_of
from pytest_qeval.benchmarks.selftest import make_completion
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Json
from tests.javascript import DATA, NAME, needs_data, needs_node, published_row, write_rows

Load = Callable[..., Benchmark]

ADD = published_row(53, "add(x, y)", (["0", "1"], "1"), (["2", "3"], "5"))


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a way to read rows of our own."""
    monkeypatch.setattr(humaneval, "_check_node", lambda _path: "20.0.0")

    def load_rows(*rows: Json) -> Benchmark:
        content = (write_rows(tmp_path, *rows) / NAME).read_bytes()
        monkeypatch.setattr(humaneval, "SHA256", sha256_of(content))
        return HUMANEVAL_JS.load(tmp_path)

    return load_rows


def test_rows_become_problems(load: Load) -> None:
    """With our reference, and the cluster of the same problem in Python."""
    benchmark = load(ADD)

    assert benchmark.version == "1.1, Node.js 20.0.0"
    (problem,) = benchmark.problems.values()
    assert (problem.task_id, problem.cluster, problem.language) == (
        "HumanEval_javascript/53",
        "HumanEval/53",
        "javascript",
    )
    assert problem.canonical_solution == "  return x + y;\n}\n"


def test_problems_that_no_right_program_solves_are_left_out(load: Load) -> None:
    """Each with a reason."""
    benchmark = load(ADD, published_row(92, "anyInt(x)", (["3.0"], "false")))

    assert list(benchmark.problems) == ["HumanEval_javascript/53"]
    assert benchmark.excluded == EXCLUDED


def test_prompts(load: Load) -> None:
    """The prompt is the published one; a chat message names the language."""
    benchmark = load(ADD)
    (problem,) = benchmark.problems.values()

    assert benchmark.prompt(problem).text == ADD["prompt"]
    assert "\n}" in benchmark.stops_in("completion")
    chat = benchmark.prompt(problem, "chat")
    assert chat.text == "```javascript\n"
    assert chat.user is not None
    assert chat.user.startswith("Complete the JavaScript function `add` that is begun below.")
    assert chat.user.endswith(f"\n\n```javascript\n{ADD['prompt']}```")
    assert benchmark.prompt(problem, "chat-prefilled").text == "```javascript\n" + ADD["prompt"]


def test_programs(load: Load) -> None:
    """The prompt and what follows it; a whole program is taken as it is."""
    benchmark = load(ADD)
    (problem,) = benchmark.problems.values()
    body = "  return x + y;\n}\n"

    assert benchmark.program(problem, "  return x + y;").code == ADD["prompt"] + body
    assert benchmark.program(problem, "  return x + y;").language == "javascript"
    assert benchmark.program(problem, "let add = 1", whole=True).code == "let add = 1"
    chat = benchmark.program(problem, f"function add(x, y) {{\n{body}```", "chat")
    assert chat.follow_up == f"}}\nfunction add(x, y) {{\n{body}"
    assert benchmark.is_empty("// nothing\n}\n")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ADD, "prompt": None}, "expected the text fields"),
        ({**ADD, "task_id": "HumanEval/53"}, "expected a task id such as HumanEval_javascript/0"),
        ({**ADD, "prompt": "function sum(x) {\n"}, "does not end with the first line of the function add"),
        ({**ADD, "test": "add(1)"}, "the test cannot be read (expected calls of add"),
    ],
)
def test_a_broken_row_is_named(load: Load, row: Json, message: str) -> None:
    """File, line and task id come first."""
    with pytest.raises(DataError, match=rf"{NAME}, line 1.*{re.escape(message)}"):
        load(row)


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores on other problems could not be compared."""
    monkeypatch.setattr(humaneval, "_check_node", lambda _path: "20.0.0")
    with pytest.raises(DataError, match="is not HumanEval in JavaScript: sha256 "):
        HUMANEVAL_JS.load(write_rows(tmp_path, ADD))


@pytest.mark.parametrize("data", [None, Path(__file__).parent])
def test_a_missing_file_is_explained(data: Path | None) -> None:
    """The sentence says where the file comes from."""
    assert not HUMANEVAL_JS.is_here(data)
    with pytest.raises(DataError, match=rf"point --qeval-data at a folder with {NAME} of amazon-science/mxeval"):
        HUMANEVAL_JS.load(data)


def test_node_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is loaded; a self-test leaves the benchmark out."""
    monkeypatch.setenv("PATH", str(tmp_path))
    write_rows(tmp_path, ADD)

    assert not HUMANEVAL_JS.is_here(tmp_path)
    with pytest.raises(DataError, match=r"no `node` on the PATH: install version 18 or newer \(apt-get install nodejs"):
        HUMANEVAL_JS.load(tmp_path)


@pytest.mark.parametrize(("printed", "found"), [("v12.22.9", "v12.22.9"), ("hello", "hello"), ("", "another program")])
def test_node_has_to_be_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, found: str) -> None:
    """The version is named."""
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho {printed}\n", encoding="utf-8")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    write_rows(tmp_path, ADD)

    with pytest.raises(DataError, match=rf"{node} is {found}: install version 18"):
        HUMANEVAL_JS.load(tmp_path)


def test_broken_bodies_are_javascript(load: Load) -> None:
    """They follow the prompt and end the function, so that nothing is cut off."""
    benchmark = load(ADD)
    (problem,) = benchmark.problems.values()
    for recipe in ("empty", "constant", "spoof"):
        completion = make_completion(recipe, problem, benchmark)
        assert benchmark.program(problem, completion).follow_up == completion


@needs_node
@needs_data
def test_every_published_problem_has_a_reference() -> None:
    """And no reference is left over."""
    problems = HUMANEVAL_JS.load(DATA).problems

    assert len(problems) == 161 - len(EXCLUDED)
    assert [f"HumanEval_javascript/{number}" for number in references()] == list(problems)
    assert all(problem.cluster.startswith("HumanEval/") for problem in problems.values())
