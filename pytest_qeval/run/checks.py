"""What is checked once the benchmarks of a run are known: gates, calibration texts, and the saved baseline."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_qeval.config.checks import check_overlap
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.run.case_problems import CaseProblems
from pytest_qeval.schema import Case, Json
from pytest_qeval.verdict.baseline.reuse import Saved, answered
from pytest_qeval.verdict.gates.checks import check_gates
from pytest_qeval.verdict.gates.kinds import check_benchmark_kinds

__all__ = ["benchmark_facts", "check_benchmarks", "reusable_cases"]


def check_benchmarks(settings: RunSettings, benchmarks: BenchmarkLoader, names: Iterable[str]) -> None:
    """Make sure that the collected benchmarks fit the gates, and that no recipe is calibrated on them.

    Raises:
        QEvalError: for a gate about another benchmark, or a calibration text that is a problem.
    """
    names = list(dict.fromkeys(names))
    if names:
        check_gates(settings.gates, candidates=settings.candidates, benchmarks=names)
        scored = [name for name in names if benchmarks.is_scored(name)]
        executed = [name for name in names if name not in scored]
        check_benchmark_kinds(settings.gates, executed=executed, scored=scored)
    check_overlap(settings, [benchmarks.find(name) for name in names])


def benchmark_facts(benchmarks: BenchmarkLoader, cases: Iterable[Case]) -> dict[str, Json]:
    """Return the checksums of the benchmarks of some cases, by name."""
    return {name: {"sha256": benchmarks.find(name).sha256} for name in sorted({case.benchmark for case in cases})}


def reusable_cases(
    saved: Saved,
    settings: RunSettings,
    *,
    benchmarks: BenchmarkLoader,
    problems: CaseProblems,
    cases: Iterable[Case],
) -> set[Case]:
    """Return the cases whose records the saved baseline has, of the same prompts.

    Raises:
        UsageError: when the user named the file, and it lacks a valid case.
    """
    cases = list(cases)
    unknown = {case for case in cases if saved.named and case not in saved.records}
    problems.check_ahead(unknown)  # all at once
    valid = [case for case in cases if case not in unknown or not problems.fault_of(case)]
    diffs = {case: problems.prompt_diff_of(case) for case in valid}
    return answered(saved, diffs, benchmark_facts(benchmarks, diffs), settings)
