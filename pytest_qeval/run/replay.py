"""Completions that are known beforehand: a samples file, or the bodies of a self-test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_qeval.benchmarks.selftest import make_completion
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.engines.replay import FindCompletions, read_samples
from pytest_qeval.schema import Problem


class Replays:
    """Finds recorded completions; the samples file is read once, on first use."""

    def __init__(self, settings: RunSettings, *, problem: Callable[[str, str], Problem]) -> None:
        """Read nothing yet.

        Args:
            settings: Of the run.
            problem: Finds the problem of a benchmark by the label of its case.
        """
        self._settings = settings
        self._problem = problem
        self._samples: Mapping[str, Sequence[str]] | None = None

    def samples(self) -> Mapping[str, Sequence[str]] | None:
        """Return the samples file by task id; None where there is none.

        Raises:
            DataError: when the file cannot be read.
        """
        if self._samples is None and self._settings.completions:
            self._samples = read_samples(self._settings.completions)
        return self._samples

    def completions(self, recipe: str) -> FindCompletions | None:
        """Return what finds a recipe's completions by benchmark and label; None where a model generates them."""
        if self._settings.selftest:
            return lambda benchmark, label: (make_completion(recipe, self._problem(benchmark, label)),)
        samples = self.samples()
        return None if samples is None else lambda _, task_id: samples.get(task_id, ())
