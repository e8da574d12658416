"""HumanEval in JavaScript: 161 problems, translated for MBXP (Athiwaratkun et al., 2023, arXiv:2210.14868)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.javascript.broken import broken_bodies
from pytest_qeval.benchmarks.javascript.source import STOPS, TASK, end_function, extract_code, is_blank
from pytest_qeval.benchmarks.javascript.tests import python_test, read_calls
from pytest_qeval.benchmarks.problems import parse_problems
from pytest_qeval.benchmarks.rows import find_file, read_bytes, text_fields, verify_sha256
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem, Program, PromptStyle

SHA256 = "cbd4421a18387fcf791a047e2904e1ff8287b11fede50a7fb5e3cd3814cb1653"
"""Of the published file, version 1.1."""
EXCLUDED: Mapping[str, str] = {
    "HumanEval_javascript/92": "its test expects 3.0 to be no integer, which JavaScript cannot tell from 3",
    "HumanEval_javascript/111": "its test expects keys with quotation marks in them, which no right program returns",
}
"""Task ids that are left out, with the reason."""

_TITLE = "HumanEval in JavaScript"
_FILE = "HumanEval_javascript_v1.1.jsonl"
_REMEDY = f"point --qeval-data at a folder with {_FILE} of amazon-science/mxeval (data/multilingual_humaneval)"
_REFERENCES = Path(__file__).with_name("references.js")
_OLDEST_NODE = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaScriptBenchmark(Benchmark):
    """Problems whose prompt begins a JavaScript function."""

    unperturbed: ClassVar[str] = "it is JavaScript, and perturbations change Python"

    def program(
        self, problem: Problem, completion: str, style: PromptStyle = "completion", *, whole: bool = False
    ) -> Program:
        """Join prompt and completion up to the end of the function, or the code of a chat completion."""
        if style == "chat":
            follow_up = extract_code(completion, entry_point=problem.entry_point)
        else:
            follow_up = end_function(completion)
        return Program(
            prelude=problem.prompt,
            code=completion if whole and style != "chat" else problem.prompt + follow_up,
            test=problem.test,
            entry_point=problem.entry_point,
            language="javascript",
        )

    def broken(self, problem: Problem) -> Mapping[str, str]:
        """Return bodies that must not pass, by the self-test's recipe."""
        return broken_bodies(problem)

    def is_empty(self, completion: str) -> bool:
        """Return whether a completion holds no code: only blanks, comments and the end of the function."""
        return is_blank(completion)


def load(data: Path | None) -> JavaScriptBenchmark:
    """Read the file in the user's data directory.

    Raises:
        DataError: when there is none, its content is another one, or Node.js is missing or too old.
    """
    path = find_file((data,), (_FILE, f"{_FILE}.gz"))
    if path is None:
        raise DataError(f"the problems of {_TITLE} are not on this machine: {_REMEDY}.")
    node = _check_node(shutil.which("node"))
    content = read_bytes(path)
    problems = parse_problems(content, benchmark="humaneval-js", source=str(path), parse=_parse_problem)
    return JavaScriptBenchmark(
        name="humaneval-js",
        version=f"1.1, Node.js {node}",
        sha256=verify_sha256(content, SHA256, source=str(path), title=_TITLE, remedy=_REMEDY),
        problems={task_id: problem for task_id, problem in problems.items() if task_id not in EXCLUDED},
        stops=STOPS,
        task=TASK,
        excluded=EXCLUDED,
    )


def _parse_problem(row: Mapping[str, Any], _benchmark: str, where: str) -> Problem:
    texts = text_fields(row, ("task_id", "prompt", "entry_point", "test"), where)
    task_id, prompt, name = texts["task_id"], texts["prompt"], texts["entry_point"]
    family, _, number = task_id.partition("/")
    if family != "HumanEval_javascript" or not number.isdecimal():
        raise DataError(f"{where}: expected a task id such as HumanEval_javascript/0.")
    if not re.search(rf"^function {re.escape(name)}\(.*\) \{{\n\Z", prompt, re.MULTILINE):
        raise DataError(f"{where}: the prompt does not end with the first line of the function {name}.")
    try:
        test = python_test(read_calls(texts["test"], name), name)
    except ValueError as error:
        raise DataError(f"{where}: the test cannot be read ({error}).") from error
    return Problem(
        benchmark="humaneval-js",
        task_id=task_id,
        prompt=prompt,
        entry_point=name,
        test=test,
        canonical_solution=references().get(number, ""),
        cluster=f"HumanEval/{number}",
        language="javascript",
    )


@cache
def references() -> Mapping[str, str]:
    """Return solutions by a problem's number, which the published file lacks; written for the self-test."""
    parts = re.split(r"^// (\d+)\n", _REFERENCES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.rstrip("\n") + "\n" for part in parts[2::2]), strict=True))


@cache
def _check_node(path: str | None) -> str:
    """Return the version of Node.js, which executes the programs."""
    remedy = f"install version {_OLDEST_NODE} or newer (apt-get install nodejs, or https://nodejs.org)"
    if path is None:
        raise DataError(f"{_TITLE} is executed by Node.js, and there is no `node` on the PATH: {remedy}.")
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    version = re.fullmatch(r"v(\d+)\.[\d.]+", printed)
    if version is None or int(version[1]) < _OLDEST_NODE:
        raise DataError(f"{_TITLE} is executed by Node.js, and {path} is {printed or 'another program'}: {remedy}.")
    return printed[1:]


HUMANEVAL_JS = BenchmarkSource(
    name="humaneval-js",
    summary="HumanEval in JavaScript: 161 functions (Athiwaratkun et al., 2023); needs Node.js and --qeval-data",
    load=load,
    is_here=lambda data: find_file((data,), (_FILE, f"{_FILE}.gz")) is not None and shutil.which("node") is not None,
)
