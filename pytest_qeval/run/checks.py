"""What is checked once the benchmarks of a run are known: gates and calibration texts."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_qeval.config.checks import check_overlap
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.verdict.gates.checks import check_benchmark_kinds, check_gates


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
