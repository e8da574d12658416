"""Which suites a run has, given what lies on this machine: settled once, by the process that reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.benchmarks.selftest import BENCHMARKS
from pytest_qeval.errors import DataError, MissingPackageError, UsageError
from pytest_qeval.settings import Settings

__all__ = ["check_used", "settle_suites", "suite_files"]

_USED_BY: Mapping[str, Sequence[str]] = {
    "--qeval-perturbation": ("robustness",),
    "--qeval-seeds": ("robustness",),
    "--qeval-benchmark": ("robustness", "divergence", "sensitivity"),
}
"""Options that only some suites read."""


def settle_suites(settings: Settings, *, names_files: bool) -> Settings:
    """Leave out of a self-test, and of `--qeval-suite all`, the benchmarks that cannot be had.

    Nobody asked for those by name; what is named has to be there.

    Args:
        settings: What the user asked for.
        names_files: Whether the command line names files, so that suites have no say.
    """
    if names_files:
        return settings
    if settings.every_suite:
        reasons = {name: _absence_of(name, settings.data) for name in settings.suites}
        left_out = {name: reason for name, reason in reasons.items() if reason}
        suites = tuple(name for name in settings.suites if name not in left_out)
        return replace(settings, suites=suites, left_out=left_out)
    if settings.selftest and not settings.suites:
        return replace(settings, suites=_at_hand(settings))
    return settings


def check_used(suites: Sequence[str], typed: Iterable[str]) -> None:
    """Make sure that what was typed for some suites is read by one of the run's.

    Args:
        suites: Of the run.
        typed: The words of the command line; what stands in an ini file is for runs of every kind.

    Raises:
        UsageError: for an option that would do nothing.
    """
    for option in (word.partition("=")[0] for word in typed):
        readers = _USED_BY.get(option)
        if readers and not set(readers) & set(suites):
            raise UsageError(
                f"{option} is read by the suite {' or '.join(readers)}, and this run has {', '.join(suites)}: "
                f"add --qeval-suite {readers[0]}, or leave the option out."
            )


def suite_files(names: Iterable[str]) -> list[Path]:
    """Return the files of suites."""
    package = Path(__file__).parents[1]
    # A wheel carries the suites inside the package, a checkout beside it.
    folder = next(path for path in (package / "suites", package.parent / "suites") if path.is_dir())
    return [folder / f"test_{name.replace('-', '_')}.py" for name in names]


def _at_hand(settings: Settings) -> tuple[str, ...]:
    """Return the benchmarks of a self-test that need no network: waiting for one is the user's decision."""
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
