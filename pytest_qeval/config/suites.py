"""Which suites a run has: the ones that the user names, else those that the model and the gates call for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.benchmarks.selftest import BENCHMARKS
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import DataError, MissingPackageError
from pytest_qeval.schema import SCORES
from pytest_qeval.verdict.gates.metrics import METRICS, OF_EFFICIENCY

OF_DIVERGENCE = ("kl", "reverse_kl", "same_top1")
"""Metrics that the suite `divergence` measures."""
_OF_ROBUSTNESS = ("robust_drop", "robust_pass")
"""Metrics that the suite `robustness` measures."""
MEASURING = ("memory", "divergence", "sensitivity", "efficiency")
"""Suites that measure a model and generate no completions."""
_SUITE_OF = {
    "HumanEval": "humaneval",
    "HumanEval_javascript": "humaneval-js",
    "MBPP": "mbpp",
    "Mbpp": "mbpp-plus",
    "CRUXEval-I": "cruxeval-input",
    "CRUXEval-O": "cruxeval-output",
    "SingleLineInfilling": "infilling-single-line",
    "MultiLineInfilling": "infilling-multi-line",
    "RandomSpanInfillingLight": "infilling-random-span",
    "micro": "micro",
    "summarization": "summarization",
    "CodeSearchNet": "codesearchnet",
}
"""By what stands before the first slash of a task id."""


def default_suites(settings: RunSettings, *, replayed: Iterable[str] = ()) -> tuple[str, ...]:
    """Choose the suites of a run that names none: by the model and the gates, or by the task ids that are replayed.

    `divergence` runs where a gate is about it, and where a baseline is saved, for later runs to compare with.
    `summarization` and `robustness` run where a gate is about them; naming perturbations asks for `robustness`, too.
    """
    if settings.suites:
        return settings.suites
    if settings.completions:
        return (*_suites_of(replayed), *(["robustness"] if settings.perturbations else []))
    metrics = {gate.metric for gate in settings.gates}
    divergence = settings.save_baseline is not None or not metrics.isdisjoint(OF_DIVERGENCE)
    robustness = bool(settings.perturbations) or not metrics.isdisjoint(_OF_ROBUSTNESS)
    wanted = {
        "divergence": divergence,
        default_benchmark(settings): True,
        "summarization": not metrics.isdisjoint(SCORES),
        "robustness": robustness,
        "efficiency": not settings.all_served or not metrics.isdisjoint(OF_EFFICIENCY),
    }
    return tuple(name for name, runs in wanted.items() if runs)


def measures_efficiency(settings: RunSettings) -> bool:
    """Return whether the suite `efficiency` measures everything, recipes side by side, and not a single stream only."""
    return "efficiency" in settings.suites or any(
        gate.metric in OF_EFFICIENCY or (METRICS[gate.metric].is_energy and not gate.rough) for gate in settings.gates
    )


def default_benchmark(settings: RunSettings) -> str:
    """Choose the benchmark for suites that take any one."""
    if settings.benchmarks:
        return settings.benchmarks[0]
    return "micro" if settings.model.name == "demo" else "humaneval"


def default_benchmarks(settings: RunSettings, *, replayed: Iterable[str] | None) -> tuple[str, ...]:
    """Choose the benchmarks for suites that take several: the named ones, or those of the samples that are replayed."""
    if settings.benchmarks:
        return settings.benchmarks
    return (default_benchmark(settings),) if replayed is None else _suites_of(replayed)


def _suites_of(task_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the suites with these problems; for unknown ones HumanEval, whose refusal names what is missing."""
    families = {task_id.partition("/")[0] for task_id in task_ids}
    return tuple(suite for family, suite in _SUITE_OF.items() if family in families) or ("humaneval",)


def settle_suites(settings: RunSettings, *, every_suite: bool) -> RunSettings:
    """Leave out of a self-test, and of `--qeval-suite all`, the benchmarks that cannot be had.

    A suite that the user names has to be there.
    """
    if every_suite:
        reasons = {name: _absence_of(name, settings.data) for name in settings.suites}
        left_out = {name: reason for name, reason in reasons.items() if reason}
        suites = tuple(name for name in settings.suites if name not in left_out)
        return replace(settings, suites=suites, left_out=left_out)
    if settings.selftest and not settings.suites:
        return replace(settings, suites=_local_benchmarks(settings))
    return settings


def suite_files(names: Iterable[str]) -> list[Path]:
    """Return the files of suites."""
    package = Path(__file__).parents[1]
    # A wheel carries the suites inside the package, a checkout beside it.
    folder = next(path for path in (package / "suites", package.parent / "suites") if path.is_dir())
    return [folder / f"test_{name.replace('-', '_')}.py" for name in names]


def _local_benchmarks(settings: RunSettings) -> tuple[str, ...]:
    """Return the benchmarks of a self-test that need no network: to wait for one is the user's decision."""
    sources: dict[str, BenchmarkSource] = {name: registry.load("benchmarks", name) for name in BENCHMARKS}
    return tuple(name for name, source in sources.items() if source.is_here(settings.data))


def _absence_of(suite: str, data: Path | None) -> str:
    """Say why a suite's problems cannot be had; empty where they can, or are there and broken, which is no absence."""
    if suite not in registry.names("benchmarks"):
        return ""
    source: BenchmarkSource = registry.load("benchmarks", suite)
    if source.is_here(data):
        return ""
    try:
        source.load(data)
    except (DataError, MissingPackageError) as error:
        return str(error).rstrip(".")
    return ""
