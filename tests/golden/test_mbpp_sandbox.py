"""MBPP's references pass and stubs fail, in both forms."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.benchmarks import mbpp
from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.mbpp import EXCLUDED, MBPP, MBPP_ALL, MBPP_FUNCTION
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.report.json import SCHEMA_PATH
from pytest_qeval.schema import Execution, Problem
from pytest_qeval.settings import ExecutionSettings
from tests.golden.sampling import Sample
from tests.sandboxes import strongest_isolation

Run = Callable[..., pytest.RunResult]

_DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(
    not (_DATA / "mbpp.jsonl").is_file(),
    reason="MBPP's data is not part of this project: let QEVAL_TEST_DATA name a folder with mbpp.jsonl",
)


@pytest.fixture(scope="module", params=[MBPP, MBPP_FUNCTION], ids=lambda source: source.name)
def benchmark(request: pytest.FixtureRequest) -> Benchmark:
    """Return both forms in turn."""
    source: BenchmarkSource = request.param
    return source.load(_DATA)


def _execute(
    benchmark: Benchmark, problems: Mapping[str, Problem], completion: Callable[[Problem], str]
) -> Mapping[str, Execution]:
    """Execute problems with the completions that `completion` returns."""
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        futures = {
            task_id: pool.submit(benchmark.program(problem, completion(problem)))
            for task_id, problem in problems.items()
        }
        return {task_id: future.result() for task_id, future in futures.items()}


def _options() -> tuple[str, ...]:
    return "-p", "no:xdist", "--qeval-sandbox", strongest_isolation(), f"--qeval-data={_DATA}"


def _stub(problem: Problem) -> str:
    body = "    return None\n"
    return body if problem.prompt.startswith("def ") else f"def {problem.entry_point}(*args):\n{body}"


def test_no_problem_is_missing(benchmark: Benchmark) -> None:
    """Ids 11 to 510: either used, or left out with a reason."""
    wanted = {f"MBPP/{number}" for number in range(11, 511)}

    assert benchmark.problems.keys() | benchmark.excluded.keys() == wanted
    assert benchmark.excluded == {task_id: EXCLUDED[task_id] for task_id in ("MBPP/123", "MBPP/367")}


def test_every_reference_passes(benchmark: Benchmark, sample: Sample[str, Problem]) -> None:
    """A harness that fails a correct program measures itself."""
    executions = _execute(benchmark, sample(benchmark.problems), lambda problem: problem.canonical_solution)

    assert {task_id: found for task_id, found in executions.items() if found.status != "passed"} == {}


def test_no_stub_passes(benchmark: Benchmark, sample: Sample[str, Problem]) -> None:
    """A harness that passes an empty program tests nothing."""
    executions = _execute(benchmark, sample(benchmark.problems), _stub)

    assert {task_id for task_id, found in executions.items() if found.status not in {"failed", "error"}} == set()


def test_objects_of_a_programs_own_class_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The problems that are left out for them could be judged."""
    monkeypatch.setattr(mbpp, "EXCLUDED", {})
    benchmark = MBPP_ALL.load(_DATA)
    program = benchmark.program
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), workers=2)) as pool:
        problems = [benchmark.problems[task_id] for task_id, reason in EXCLUDED.items() if "class" in reason]
        futures = [pool.submit(program(problem, problem.canonical_solution)) for problem in problems]
        found = [future.result() for future in futures]

    assert [execution.status for execution in found] == ["passed"] * 3


def test_a_samples_file_is_scored(run_afresh: Run, pytester: pytest.Pytester) -> None:
    """The summary and the report name the problems that were left out."""
    problems = list(MBPP.load(_DATA).problems.values())[:6]
    rows = ({"task_id": problem.task_id, "completion": problem.canonical_solution} for problem in problems)
    pytester.path.joinpath("samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    samples = ("--qeval-completions", "samples.jsonl", "--qeval-suite", "mbpp", "--qeval-output", "out")
    result = run_afresh(*_options(), *samples)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["mbpp*pass@1*", "*replay*100.0%*6/498 (492 missing!)*", "*mbpp: 2 of 500 problems left out: MBPP/123 (*"]
    )
    report = json.loads((pytester.path / "out" / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    assert report["benchmarks"]["mbpp"]["excluded"].keys() == {"MBPP/123", "MBPP/367"}


def test_the_self_test_covers_both_forms(run_afresh: Run) -> None:
    """The same task ids, each with completions of its own form."""
    result = run_afresh(*_options(), "--qeval-selftest", "--qeval-limit", "3")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "self-test: mbpp: 3 of 3 references pass, 9 of 9 broken bodies fail",
            "self-test: mbpp-function: 3 of 3 references pass, 9 of 9 broken bodies fail",
            "*mbpp-function: 2 of 500 problems left out: MBPP/123 (*",
        ]
    )
