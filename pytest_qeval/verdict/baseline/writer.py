"""Write a run's baseline for later runs: into the cache, and where the user wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from pytest_qeval.errors import DataError, UsageError, counted
from pytest_qeval.facts import BenchmarkFacts, GenerationFacts, InvalidCase, RecipeFacts, RunHeader, StreamFacts
from pytest_qeval.measure.memory_facts import BudgetFacts, MemoryFacts
from pytest_qeval.measure.timing_facts import ProblemTimingFacts, TimingFacts
from pytest_qeval.records.messages import Message, RecipeMessage, recipe_of
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.baseline.baseline import Baseline
from pytest_qeval.verdict.baseline.file import check_writable, read_baseline, write_baseline
from pytest_qeval.verdict.baseline.key import batch_key, benchmark_key, differences, recipe_key


@dataclass(eq=False)
class BaselineWriter:
    """Gathers the messages about the baseline that a run makes, and writes them."""

    recipe: str
    """Whose messages are kept."""
    _: KW_ONLY
    path: Path | None
    """Where the user wants the file."""
    cache: Path | None
    """Where the next run looks for it."""
    saved: Baseline | None
    """What was reused."""
    _messages: dict[object, RecipeMessage] = field(default_factory=dict, init=False)
    _benchmarks: list[BenchmarkFacts] = field(default_factory=list, init=False)
    _invalid: set[Case] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Raise a `UsageError` when `path` cannot be written: better now than after hours."""
        if self.path is not None:
            check_writable(self.path)

    def add(self, message: Message) -> None:
        """Take a message; of two about the same the last counts, except for costs, which several workers add up."""
        if isinstance(message, BenchmarkFacts):
            self._benchmarks.append(message)
        elif isinstance(message, InvalidCase):
            self._invalid.add(message.case)
        elif isinstance(message, (MemoryFacts, BudgetFacts, TimingFacts, ProblemTimingFacts)):
            return  # of this machine and this run, in which times are compared round by round
        elif isinstance(message, RecipeMessage) and recipe_of(message) == self.recipe:
            self._messages[self._subject(message)] = message

    def _subject(self, message: RecipeMessage) -> object:
        if isinstance(message, Record):
            return message.case
        if isinstance(message, (GenerationFacts, StreamFacts)):
            return len(self._messages)
        return type(message), getattr(message, "benchmark", None)

    def write(self, key: Json, run: RunHeader, *, planned: Sequence[tuple[str, Case]], composition: Json) -> str | None:
        """Write what there is, and return a line for the user about the file at `path`.

        To the run's conditions in `key` those of benchmarks, of the recipe and of the batches are added; see
        `key.composition_of`.

        Raises:
            UsageError: when the user's file cannot be written, or would lose records.
        """
        messages = tuple(self._messages.values())
        loaded = next((message for message in messages if isinstance(message, RecipeFacts)), None)
        key = {**key, **benchmark_key(self._benchmarks)}
        if loaded:
            key |= {**recipe_key(loaded), **batch_key(loaded, composition)}
        fresh = Baseline(recipe=self.recipe, key=key, run=run, messages=messages)
        mixable = self.saved if self.saved and not _batches_differ(key, self.saved.key) else None
        baseline = mixable.merged(fresh) if mixable else fresh
        loses = self.saved and not mixable and len(self.saved.records) > len(fresh.records)
        if self.cache and fresh.has_results and not loses:
            with suppress(UsageError):  # a cache that cannot be written is no reason to fail
                write_baseline(self.cache, baseline)
        cases = {case for recipe, case in planned if recipe == self.recipe and case not in self._invalid}
        return self._write_file(self.path, baseline.of_cases(cases), cases) if self.path else None

    def _write_file(self, path: Path, baseline: Baseline, cases: set[Case]) -> str:
        if not baseline.has_results:
            raise UsageError(f"no baseline was saved to {path}: nothing was run under {self.recipe}.")
        missing = len(cases - baseline.records.keys())
        before = _read_or_none(path)
        if before and not differences(baseline.key, before.key) and before.recipe == baseline.recipe:
            baseline = before.merged(baseline)
        elif missing and path.exists():
            raise UsageError(
                f"{path} was left as it is: this run lacks {counted(missing, 'case')}. Run it to its end, "
                "or name another file by --qeval-save-baseline."
            )
        write_baseline(path, baseline)
        lacking = f", {missing} missing" if missing else ""
        older = len(baseline.records.keys() - cases)
        lacking += f", {older} of an earlier run" if older else ""
        return f"baseline: {path} ({baseline.recipe}, {counted(len(baseline.records), 'case')}{lacking})"


def _batches_differ(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether completions depend on the batch, and were made in others."""
    return bool(differences({name: value for name, value in ours.items() if name.startswith("batch.")}, theirs))


def _read_or_none(path: Path) -> Baseline | None:
    try:
        return read_baseline(path)
    except DataError:
        return None
