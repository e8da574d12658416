"""A baseline that a run reuses instead of running it: one that the user named, or one in the cache."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.facts import BenchmarkFacts, GenerationFacts, RecipeFacts, StreamFacts
from pytest_qeval.measure.topk import Scores
from pytest_qeval.quantize.lookup import is_as_is
from pytest_qeval.records.messages import BaselineScores, RecipeMessage
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.baseline.baseline import Baseline
from pytest_qeval.verdict.baseline.file import read_baseline
from pytest_qeval.verdict.baseline.key import benchmark_key, differences, refusal


class CaseProofs(Protocol):
    """Knows what perturbed cases look like in this run, and whether they are valid."""

    def check_ahead(self, cases: Iterable[Case], /) -> None:
        """Start to execute the cases' own solutions."""

    def fault_of(self, case: Case, /) -> str:
        """Return why a case is invalid; empty where it is valid."""

    def prompt_diff_of(self, case: Case, /) -> str:
        """Return the diff from the nominal to the perturbed prompt."""


class ReusableCases(NamedTuple):
    """What of a saved baseline a run takes."""

    cases: frozenset[Case] = frozenset()
    """Cases whose records are taken."""
    accepted: tuple[str, ...] = ()
    """Differences of the data that the user accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedBaseline:
    """A baseline that was read from a file."""

    baseline: Baseline
    path: Path
    named: bool
    """Whether the user named the file: then nothing of the baseline is run."""
    force: bool = False
    """Whether the user accepts other conditions."""
    accepted: tuple[str, ...] = ()
    """Differing conditions that the user accepts."""

    @property
    def recipe(self) -> str:
        """Name of the baseline in this run."""
        return self.baseline.recipe

    @property
    def records(self) -> Mapping[Case, Record]:
        """The baseline's records, by case."""
        return self.baseline.records

    def lengths(self, case: Case) -> Sequence[int]:
        """Return the generated tokens of a case's completions; none where they are not known."""
        record = self.records.get(case)
        return [sample.completion.n_tokens or 0 for sample in record.samples] if record else ()

    def origin(self, more_accepted: Sequence[str] = ()) -> Json:
        """Return where the baseline comes from: the report's `run.saved_baseline`."""
        run = self.baseline.run
        return {
            "path": str(self.path),
            "started_at": run.started_at,
            "engine": run.engine,
            "host": run.host,
            "accepted_differences": [*self.accepted, *more_accepted],
            "model": run.baseline_model or run.model,
            "versions": run.versions,
        }

    def scores(self, benchmark: str, task_ids: Collection[str]) -> Scores | None:
        """Return the log-probabilities on the solutions of all these problems; None where some are missing."""
        for message in self.baseline.messages:
            if isinstance(message, BaselineScores) and message.benchmark == benchmark:
                scores = message.scores
                return scores if {*task_ids} <= {*scores.texts, *scores.incomparable} else None
        return None

    def check_batch(self, facts: RecipeFacts) -> None:
        """Make sure that a recipe is decoded as the baseline was, if the baseline's completions depend on that.

        Raises:
            UsageError: when it is not, and the user does not accept that.
        """
        self.check_batch_size(facts.batch_size, f"{facts.name} is")

    def check_batch_size(self, size: int | None, who: str) -> None:
        """Check a batch size; `who` is the subject of the message, such as `int8 is`.

        Raises:
            UsageError: as `check_batch`.
        """
        expected = self.baseline.key.get("batch.size", size)
        if size != expected and not self.force:
            raise UsageError(
                f"{self.path} was decoded {expected} rows at a time, on which its completions depend, and {who} "
                f"decoded {size} at a time: add --qeval-batch-size {expected}, or run the baseline again with "
                "--qeval-baseline run."
            )

    def find_reusable(
        self,
        cases: Iterable[Case],
        *,
        problems: CaseProofs,
        benchmark: Callable[[str], BenchmarkFacts],
        composition: Mapping[str, Any],
    ) -> ReusableCases:
        """Return which of the run's cases need not be run again: those with a record of the same problem.

        Cases that are not valid need no record, and a run without cases takes none. `benchmark` returns the facts of
        a benchmark in this run, and `composition` is what its batches are made of, see `key.composition_of`.

        Raises:
            UsageError: when the user named the file, and it does not have all cases, was made of other data, or was
                decoded in other batches on which its completions depend.
        """
        cases = list(cases)
        if not cases:  # no test was selected, or the run is being refused
            return ReusableCases()
        rebatched = differences(composition, self.baseline.key) if "batch.size" in self.baseline.key else ()
        if rebatched and not self.named:
            return ReusableCases()
        if rebatched and not self.force:
            raise UsageError(self._batch_refusal(rebatched))
        if self.named:
            unknown = {case for case in cases if case not in self.records}
            problems.check_ahead(unknown)  # all at once
            cases = [case for case in cases if case not in unknown or not problems.fault_of(case)]
        changed = dict(self._changed_data({case.benchmark for case in cases}, benchmark))
        if self.named and changed and not self.force:
            raise UsageError(refusal(self.path, list(changed.values())))
        reusable = frozenset(
            case
            for case in cases
            if case in self.records
            and self.records[case].prompt_diff == problems.prompt_diff_of(case)
            and (self.named or case.benchmark not in changed)
        )
        if self.named and (missing := {*cases} - reusable):
            first = min(missing, key=lambda case: (case.benchmark, case.label))
            raise UsageError(
                f"{self.path} has no record of {len(missing)} of this run's cases, such as {first.label}: make it "
                "again with --qeval-save-baseline, or run fewer (--qeval-limit, -k)."
            )
        return ReusableCases(cases=reusable, accepted=(*rebatched, *changed.values()) if self.named else ())

    def _batch_refusal(self, found: Sequence[str]) -> str:
        facts = next((one for one in self.baseline.messages if isinstance(one, RecipeFacts)), None)
        reason = f" ({facts.batch_dependence})" if facts and facts.batch_dependence else ""
        return (
            f"{self.path} was decoded in other batches, on which its completions depend{reason}: {'; '.join(found)}. "
            "Run the same cases, threads and workers, run the baseline again with --qeval-baseline run, or accept that "
            "some flips are numerical with --qeval-baseline-force."
        )

    def _changed_data(
        self, names: Iterable[str], benchmark: Callable[[str], BenchmarkFacts]
    ) -> Iterator[tuple[str, str]]:
        """Yield the benchmarks whose data or form differ from the baseline's, with the differences in words."""
        for name in sorted(names):
            if found := differences(benchmark_key([benchmark(name)]), self.baseline.key):
                yield name, "; ".join(found)

    def reused(self, planned: Sequence[tuple[str, Case]], cases: Collection[Case]) -> list[Case]:
        """Return those of the reusable cases that are planned for any recipe."""
        return [case for case in dict.fromkeys(case for _, case in planned) if case in cases]

    def messages(
        self, cases: Collection[Case], *, costs: Mapping[str, Any], measures_stream: bool
    ) -> Iterator[RecipeMessage]:
        """Yield the messages that a run takes from the baseline: records, scores, and what they cost.

        What else was measured in the earlier run, such as its sensitivity, is no result of this one.

        Args:
            cases: Cases whose records are taken.
            costs: The run's `cost_key`; the costs of a baseline made under others are left out.
            measures_stream: Whether the run measures the baseline's single stream itself.
        """
        if not (cases or self.named):
            return
        comparable = all(self.baseline.key.get(name) == value for name, value in costs.items())
        whole = {*cases} == self.records.keys()  # else the costs of just these cases are unknown
        taken = self.baseline if comparable and whole else self.baseline.without_costs()
        for message in taken.in_baseline_role().messages:
            if isinstance(message, Record) and message.case not in cases:
                continue
            if isinstance(message, (Record, RecipeFacts, GenerationFacts, BaselineScores)):
                yield message
        if comparable and not measures_stream:
            yield from (message for message in self.baseline.messages if isinstance(message, StreamFacts))


def find_saved(
    key: Mapping[str, Any],
    *,
    file: Path | None,
    cached: Path | None,
    baseline: str | None,
    candidates: Collection[str],
    force: bool,
) -> SavedBaseline | None:
    """Read the baseline that the user named, or the cached one if there is one.

    Args:
        key: The run's `key_of`.
        file: The file that the user named.
        cached: Path in the cache.
        baseline: The recipe of a cached baseline.
        candidates: Names that the baseline must not have.
        force: Whether the user accepts other conditions.

    Raises:
        UsageError: when the named one cannot be read, or was made under other conditions and that is not accepted.
    """
    if file is None:
        return _read_cached(cached, baseline) if cached and cached.is_file() else None
    saved = open_saved(file, named=True, candidates=candidates, force=force)
    if all(map(is_as_is, candidates)):  # the baseline is another checkpoint by nature
        key = {name: value for name, value in key.items() if not name.startswith("model.")}
    found = differences(key, saved.baseline.key)
    if found and not force:
        raise UsageError(refusal(file, found))
    return replace(saved, accepted=found)


def open_saved(path: Path, *, named: bool, candidates: Collection[str], force: bool) -> SavedBaseline:
    """Read a saved baseline without comparing conditions; one that is called like a candidate is renamed."""
    baseline = read_baseline(path)
    if baseline.recipe in candidates:
        baseline = baseline.renamed(f"{baseline.recipe} (saved)")
    return SavedBaseline(baseline=baseline, path=path, named=named, force=force)


def _read_cached(path: Path, recipe: str | None) -> SavedBaseline | None:
    try:
        found = read_baseline(path)
    except DataError:  # nothing of the user's: it is made again and written over
        return None
    return SavedBaseline(baseline=found, path=path, named=False) if found.recipe == recipe else None
