"""Finished runs, read from their journals, and two of them joined for a comparison."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.facts import (
    BenchmarkFacts,
    GateDecision,
    InvalidCase,
    PerturbationFacts,
    RecipeFacts,
    RunHeader,
    StreamFacts,
)
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.timing_facts import ProblemTimingFacts, TimingFacts
from pytest_qeval.quantize.lookup import is_as_is
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.records.journal import read_journal
from pytest_qeval.records.messages import Message, Plan, RecipeMessage, RunStart, recipe_of
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.baseline.baseline import Baseline
from pytest_qeval.verdict.baseline.key import batch_key, benchmark_key, composition_of, differences
from pytest_qeval.verdict.baseline.reuse import SavedBaseline


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A finished run as its journal has it."""

    path: Path
    run: RunStart
    plan: Plan
    messages: tuple[Message, ...]

    @classmethod
    def read(cls, path: Path, *, selftest: bool = False) -> FinishedRun:
        """Read a journal; that of a self-test only if wanted.

        Raises:
            DataError: when it is none, is a self-test's, or ends before anything was planned.
        """
        run, messages = read_journal(path)
        if run.model.get("source") == NAME and not selftest:
            raise DataError(f"{path} is a self-test of the harness: compare two runs that evaluated something.")
        plan = next((message for message in messages if isinstance(message, Plan)), None)
        if plan is None:
            raise DataError(f"{path} holds no plan of its cases: run the evaluation again.")
        return cls(path=path, run=run, plan=plan, messages=messages)

    @property
    def baseline(self) -> str:
        """The recipe to compare with: the baseline, or the only recipe.

        Raises:
            DataError: when there are several, and none is the baseline.
        """
        if self.plan.baseline:
            return self.plan.baseline
        if len(self.plan.candidates) != 1:
            raise DataError(
                f"{self.path} holds several recipes ({', '.join(self.plan.candidates)}) and no baseline: compare with "
                "a run of one recipe, or one that had a baseline."
            )
        return self.plan.candidates[0]

    def candidate_cases(self) -> list[tuple[str, Case]]:
        """Return what was planned for the candidates."""
        return [(name, one.case) for name in self.plan.candidates for one in self.plan.cases if one.recipe == name]

    def messages_of(self, recipe: str | None) -> tuple[RecipeMessage, ...]:
        """Return the messages about a recipe."""
        about = (message for message in self.messages if isinstance(message, RecipeMessage))
        return tuple(message for message in about if recipe_of(message) == recipe)

    def conditions(self) -> Json:
        """Return what has to be equal in two runs that are compared."""
        benchmarks = [message for message in self.messages if isinstance(message, BenchmarkFacts)]
        return {**self._conditions(costs=False), **benchmark_key(benchmarks)}

    def facts_of(self, *recipes: str) -> RecipeFacts | None:
        """Return what is known of the first of these recipes that a model was loaded for."""
        facts = (message for name in recipes for message in self.messages_of(name) if isinstance(message, RecipeFacts))
        return next((one for one in facts if one.batch_size), None)

    def composition(self) -> Json:
        """Return what the batches were made of."""
        made = self.plan.conditions
        cases = (one.case for one in self.plan.cases)
        return composition_of(cases, threads=made.get("costs.threads"), n_workers=made["costs.workers"])

    def model_conditions(self) -> Json:
        """Return what identifies the baseline's model."""
        return {name: value for name, value in self.plan.conditions.items() if name.startswith("model.")}

    def cost_conditions(self) -> Json:
        """Return what costs depend on, and results do not."""
        return {**self._conditions(costs=True), "host": self.run.host}

    def _conditions(self, *, costs: bool) -> Json:
        return {name: value for name, value in self.plan.conditions.items() if name.startswith("costs.") == costs}

    def n_solved(self, recipe: str | None, cases: Collection[Case]) -> dict[Case, int]:
        """Return how many samples of a recipe passed, for those of the cases that have a record."""
        records = (message for message in self.messages_of(recipe) if isinstance(message, Record))
        return {record.case: record.n_solved for record in records if record.case in cases}


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRuns:
    """Two runs put together: everything that a verdict needs."""

    run: RunHeader
    roles: Roles
    planned: list[tuple[str, Case]]
    collector: Collector

    @property
    def left_out(self) -> int:
        """Cases of the baseline that the candidates' run has not."""
        return int((self.run.saved_baseline or {}).get("left_out", 0))


def join_runs(before: FinishedRun, after: FinishedRun, *, force: bool) -> JoinedRuns:
    """Compare the candidates of one run with the baseline of another, as if that had been saved and used.

    Every case of a candidate is one of the baseline: where the baseline has no record of it, it is missing.

    Raises:
        UsageError: when they were made under other conditions, and that is not accepted (`force`).
    """
    accepted = _differences(before, after)
    if accepted and not force:
        raise UsageError(
            f"A ({before.path}) and B ({after.path}) were made under other conditions: {'; '.join(accepted)}. Compare "
            "runs that differ in their recipe only, or accept the differences with --qeval-baseline-force."
        )
    planned = after.candidate_cases()
    cases = dict.fromkeys(case for _, case in planned)
    saved = _saved_baseline(before, after, cases, accepted)
    collector = Collector()
    for message in (*_shared(before, after, cases), *_of_candidates(before, after, saved.recipe, cases)):
        collector.add(message)
    for message in saved.baseline.messages:
        collector.add(message)
    for name in after.plan.candidates:  # a decision may be void beside another baseline, and the stop is none the less
        stops = (one for one in after.messages_of(name) if isinstance(one, GateDecision))
        collector.stops.update({(one.recipe, one.benchmark): one.reason for one in stops})
    more = {one.case for one in before.messages_of(before.baseline) if isinstance(one, Record)} - cases.keys()
    return JoinedRuns(
        run=replace(after.run, saved_baseline={**saved.origin(), "left_out": len(more)}),
        roles=Roles(candidates=after.plan.candidates, baseline=saved.recipe),
        planned=[*((saved.recipe, case) for case in cases), *planned],
        collector=collector,
    )


def _saved_baseline(
    before: FinishedRun, after: FinishedRun, cases: Mapping[Case, None], accepted: Sequence[str]
) -> SavedBaseline:
    """Return the earlier run's baseline; with costs only if it ran just these cases, under the same conditions."""
    recipe = before.baseline
    found = Baseline(recipe=recipe, key={}, run=before.run, messages=before.messages_of(recipe))
    comparable = before.cost_conditions() == after.cost_conditions()
    if not comparable or found.records.keys() != cases.keys():
        found = found.without_costs()
    unfit: tuple[type, ...] = (DivergenceFacts, GateDecision, TimingFacts, ProblemTimingFacts)
    if not any(isinstance(one, StreamFacts) for name in after.plan.candidates for one in after.messages_of(name)):
        unfit = (*unfit, StreamFacts)  # there is nothing to compare it with
    messages = [
        message
        for message in found.in_baseline_role().messages
        if not isinstance(message, unfit) and (not isinstance(message, Record) or message.case in cases)
    ]
    found = replace(found, messages=tuple(messages))
    if recipe in after.plan.candidates:
        found = found.renamed(f"{recipe} (before)")
    return SavedBaseline(baseline=found, path=before.path, named=True, accepted=tuple(accepted))


def _shared(before: FinishedRun, after: FinishedRun, cases: Collection[Case]) -> Iterator[Message]:
    """Yield the later run's messages about problems; a case that is invalid in either run is invalid in both."""
    yield from (one for one in after.messages if isinstance(one, (BenchmarkFacts, PerturbationFacts, InvalidCase)))
    yield from (one for one in before.messages if isinstance(one, InvalidCase) and one.case in cases)


def _of_candidates(
    before: FinishedRun, after: FinishedRun, baseline: str, cases: Collection[Case]
) -> Iterator[RecipeMessage]:
    """Yield the messages about candidates that also hold against the other run's baseline."""
    then, now = before.baseline, after.plan.baseline
    same_results = before.n_solved(then, cases) == after.n_solved(now, cases)
    for message in (one for name in after.plan.candidates for one in after.messages_of(name)):
        match message:
            case DivergenceFacts():
                if then == now and before.model_conditions() == after.model_conditions():
                    yield replace(message, baseline=baseline)
            case GateDecision():
                if same_results:
                    yield message
            case _:
                yield message


def _differences(before: FinishedRun, after: FinishedRun) -> tuple[str, ...]:
    ours = after.conditions()
    if all(map(is_as_is, after.plan.candidates)):  # its baseline is another checkpoint by nature
        ours = {name: value for name, value in ours.items() if not name.startswith("model.")}
    batches, expected = _batches(before, after)
    found = differences({**ours, **batches}, {**before.conditions(), **expected}, "{theirs} in A, {ours} in B")
    return (*found, *_relations(before, after))


def _relations(before: FinishedRun, after: FinishedRun) -> Iterator[str]:
    """Yield the benchmarks whose problems share something else in A than in B: versions may state other clusters."""
    then, now = (
        {one.name: (dict(one.clusters), set(one.covers)) for one in run.messages if isinstance(one, BenchmarkFacts)}
        for run in (before, after)
    )
    for name in now.keys() & then.keys():
        if now[name] != then[name]:
            yield f"clusters.{name} (which problems share a source is stated otherwise in A than in B)"


def _batches(before: FinishedRun, after: FinishedRun) -> tuple[Json, Json]:
    """Return the batches of B and those of A that they must equal; empty where completions do not depend on batches."""
    baseline, candidate = before.facts_of(before.baseline), after.facts_of(*after.plan.candidates)
    if baseline is None or candidate is None:  # completions of a file have no batches
        return {}, {}
    expected = batch_key(baseline, before.composition())
    found = {"batch.size": candidate.batch_size, **after.composition()}
    return (found, expected) if expected else ({}, {})
