"""The baseline that a run does not have to run: one that was saved, or one in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any as Settings

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.facts import RunHeader
from pytest_qeval.measure.topk import Scores
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.baseline.file import Baseline, differences, read_baseline, refusal
from pytest_qeval.verdict.baseline.key import benchmark_key, cache_name, key_of

__all__ = ["Saved", "accepted_data", "answered", "cache_path", "find_saved", "open_saved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A baseline that was read."""

    baseline: Baseline
    path: Path
    named: bool
    """Whether the user named the file: then nothing of the baseline is run."""
    accepted: tuple[str, ...] = ()
    """Differing conditions that the user accepts."""

    @property
    def records(self) -> Mapping[Case, Record]:
        """What the baseline answered."""
        return self.baseline.records

    def scores(self, benchmark: str) -> Scores | None:
        """Return its log-probabilities on a benchmark's solutions, if it has any."""
        found = (one for one in self.baseline.messages if one["type"] == "scores" and one["benchmark"] == benchmark)
        return next(map(Scores.from_dict, found), None)

    def refusal_of(self, device: str, settings: Settings) -> UsageError | None:
        """Say why a named baseline is not compared with a model on this device, which the user may accept."""
        there = self.baseline.key.get("device") if self.named else None
        if not there or there == device or settings.baseline_force:
            return None
        return UsageError(refusal(self.path, [f"device: {device} here, {there} there"]))

    def facts(self) -> Json:
        """Say where the baseline comes from: the report's `run.saved_baseline`."""
        run = self.baseline.run
        return {
            "path": str(self.path),
            "started_at": run["started_at"],
            "host": run["host"],
            "accepted_differences": list(self.accepted),
        }


def cache_path(settings: Settings, run: RunHeader) -> Path | None:
    """Say where the cache keeps this run's baseline; None where it keeps none."""
    if not settings.baseline_cached:
        return None
    import platformdirs  # noqa: PLC0415 - only for active sessions

    name = cache_name(settings, run)
    return platformdirs.user_cache_path("pytest-qeval") / "baselines" / name if name else None


def find_saved(settings: Settings, run: RunHeader) -> Saved | None:
    """Read the baseline that the user named, or the cached one if there is one.

    Raises:
        UsageError: when the named one cannot be read, or was made under other conditions and that is not accepted.
    """
    if settings.baseline_file is None:
        return _cached(cache_path(settings, run))
    saved = open_saved(settings.baseline_file, settings)
    ours = key_of(settings, run)
    if settings.candidates == ("as-is",):  # the baseline is another checkpoint by nature
        ours = {name: value for name, value in ours.items() if not name.startswith("model.")}
    found = differences(ours, saved.baseline.key)
    if found and not settings.baseline_force:
        raise UsageError(refusal(saved.path, found))
    return replace(saved, accepted=found)


def open_saved(path: Path, settings: Settings) -> Saved:
    """Read a saved baseline without comparing conditions; its name is never a candidate's."""
    baseline, named = read_baseline(path), settings.baseline_file is not None
    if baseline.recipe in settings.candidates:
        baseline = baseline.renamed(f"{baseline.recipe} (saved)")
    return Saved(baseline=baseline, path=path, named=named)


def _cached(path: Path | None) -> Saved | None:
    if path is None or not path.is_file():
        return None
    try:
        return Saved(baseline=read_baseline(path), path=path, named=False)
    except DataError:  # nothing of the user's: it is made again and written over
        return None


def answered(saved: Saved, cases: Mapping[Case, str], benchmarks: Mapping[str, Json], settings: Settings) -> set[Case]:
    """Return the cases that a saved baseline has answered, where the question was the same then.

    Args:
        saved: The baseline.
        cases: What is asked, with the perturbation of each, which may have been another one then.
        benchmarks: Name to facts (`sha256`) of what is asked.
        settings: Of the run.

    Raises:
        UsageError: when the user named the file, and it does not have them all.
    """
    asked = set(cases)
    changed = {name: found for name in benchmarks if (found := _changed(saved, name, benchmarks[name])) is not None}
    if saved.named and changed and not settings.baseline_force:
        raise UsageError(refusal(saved.path, list(changed.values())))
    there = {
        case
        for case, perturbation in cases.items()
        if case in saved.records
        and saved.records[case].prompt_diff == perturbation
        and (saved.named or case.benchmark not in changed)
    }
    if saved.named and asked - there:
        first = min(asked - there, key=lambda case: (case.benchmark, case.label))
        raise UsageError(
            f"{saved.path} holds no answer to {len(asked - there)} of the problems that are asked, such as "
            f"{first.label}: make it again with --qeval-save-baseline, or ask fewer (--qeval-limit, -k)."
        )
    return there


def accepted_data(saved: Saved, benchmarks: Mapping[str, Json]) -> tuple[str, ...]:
    """Say how the data of benchmarks differ from what a named baseline was asked, which the user accepts."""
    if not saved.named:
        return ()
    found = (_changed(saved, name, facts) for name, facts in benchmarks.items())
    return tuple(difference for difference in found if difference)


def _changed(saved: Saved, name: str, facts: Json) -> str | None:
    """Say how a benchmark's data differ from what the baseline was asked; None where they do not."""
    return next(iter(differences(benchmark_key({name: facts}), saved.baseline.key)), None)
