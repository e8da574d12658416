"""Completions that are known beforehand: a samples file, or the bodies of a self-test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.selftest import make_completion
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.engines.replay import FindCompletions
from pytest_qeval.errors import counted
from pytest_qeval.schema import Case, Completion, Problem


@dataclass(kw_only=True, eq=False)
class Replays:
    """Finds recorded completions, and says what the samples file lacks and what is left out of it."""

    settings: RunSettings
    benchmark: Callable[[str], Benchmark]
    problem: Callable[[str, str], Problem]
    """Finds the problem of a benchmark by the label of its case."""

    def completions(self, recipe: str) -> FindCompletions | None:
        """Return what finds a recipe's completions by benchmark and label; None where a model generates them."""
        if self.settings.selftest:
            return lambda name, label: (_recorded(self._completion(recipe, name, label)),)
        samples = self.settings.samples
        return None if samples is None else lambda _, task_id: samples.get(task_id, ())

    def _completion(self, recipe: str, name: str, label: str) -> str:
        return make_completion(recipe, self.problem(name, label), self.benchmark(name))

    def notes(self, cases: Sequence[Case], known: Collection[str]) -> Iterator[str]:
        """Yield what a user has to know about a samples file before it is evaluated."""
        samples, file = self.settings.samples, self.settings.completions
        if samples is None or file is None or not cases:  # nothing is evaluated
            return
        accepted = (
            "they are left out"
            if self.settings.allow_missing
            else "the others are missing, which breaks gates on them (--qeval-allow-missing accepts it)"
        )
        for benchmark in dict.fromkeys(case.benchmark for case in cases):
            labels = [case.label for case in cases if case.benchmark == benchmark]
            answered = sum(label in samples for label in labels)
            if answered < len(labels):
                yield f"{file.name} answers {answered} of {counted(len(labels), 'problem')} of {benchmark}: {accepted}"
        if strange := [label for label in samples if label not in known and label.rsplit("-", 2)[0] not in known]:
            yield (
                f"{file.name} has {counted(len(strange), 'task id')} that no benchmark of this run has, such as "
                f"{strange[0]}: their completions are not evaluated"
            )
        yield from (f"{file.name} {note}" for note in self.settings.samples_notes)
        sizes = {len(samples[case.label]) for case in cases if case.label in samples}
        if len(sizes) > 1:
            yield (
                f"{file.name} has {min(sizes)} to {max(sizes)} completions of a problem: each problem counts once, and "
                "pass@k is given as far as every problem has k of them"
            )


def _recorded(text: str) -> Completion:
    return Completion(text=text, n_tokens=None, finish_reason="replay")
