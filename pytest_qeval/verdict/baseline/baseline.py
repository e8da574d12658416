"""A baseline as a value: its messages, and what may be done with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_qeval.facts import GenerationFacts, RecipeFacts, RunHeader, StreamFacts
from pytest_qeval.records.messages import BaselineScores, RecipeMessage
from pytest_qeval.schema import Case, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Everything that a run found out about its baseline."""

    recipe: str
    key: Mapping[str, Any]
    """The conditions under which it was made; see `key`."""
    run: RunHeader
    """The run that made it."""
    messages: tuple[RecipeMessage, ...]
    records: Mapping[Case, Record] = field(init=False, repr=False, compare=False)
    """By case; the last record of a case counts, as in a session."""

    def __post_init__(self) -> None:
        """Index the records."""
        records = (message for message in self.messages if isinstance(message, Record))
        object.__setattr__(self, "records", {record.case: record for record in records})

    @property
    def has_results(self) -> bool:
        """Whether there are records or log-probabilities."""
        return any(isinstance(message, (Record, BaselineScores)) for message in self.messages)

    def renamed(self, name: str) -> Baseline:
        """Return the same baseline under another recipe's name."""
        return replace(self, recipe=name, messages=tuple(_renamed(message, name) for message in self.messages))

    def merged(self, newer: Baseline) -> Baseline:
        """Return the newer baseline with what only this one has; it is as old as its oldest record.

        Records of a benchmark whose data have changed are left out, and the costs of generating where records come
        from both.
        """
        older = self.renamed(newer.recipe)
        changed = {name.partition(".")[2] for name in newer.key if newer.key[name] != older.key.get(name)}
        cases = {case for case in older.records if case.benchmark not in changed} - newer.records.keys()
        messages = [*_lacking(newer, older, cases), *newer.messages]
        if cases and newer.records:
            messages = [message for message in messages if not isinstance(message, GenerationFacts)]
        return replace(
            newer,
            key={**older.key, **newer.key},
            run=older.run if cases else newer.run,
            messages=tuple(messages),
        )

    def without_costs(self) -> Baseline:
        """Return what holds on any machine: the results, without what they cost."""
        kept = (message for message in self.messages if not isinstance(message, (GenerationFacts, StreamFacts)))
        return replace(self, messages=tuple(map(_without_cost, kept)))

    def of_cases(self, cases: Collection[Case]) -> Baseline:
        """Return the baseline with the records of these cases alone; what generating others cost is left out."""
        messages = [one for one in self.messages if not isinstance(one, Record) or one.case in cases]
        if len(messages) < len(self.messages):
            messages = [one for one in messages if not isinstance(one, GenerationFacts)]
        return replace(self, messages=tuple(messages))

    def in_baseline_role(self) -> Baseline:
        """Return the same with the role `baseline`, which the recipe need not have had in the run that made it."""
        messages = (replace(one, role="baseline") if isinstance(one, RecipeFacts) else one for one in self.messages)
        return replace(self, messages=tuple(messages))


def _lacking(newer: Baseline, older: Baseline, cases: set[Case]) -> Iterator[RecipeMessage]:
    """Yield the older records of `cases`, their costs, and whatever else the newer baseline has no message about."""
    subjects = set(map(_subject, newer.messages))
    for message in older.messages:
        match message:
            case Record():
                lacks = message.case in cases
            case GenerationFacts():
                lacks = bool(cases)
            case _:
                lacks = _subject(message) not in subjects
        if lacks:
            yield message


def _subject(message: RecipeMessage) -> tuple[type, str | None]:
    """Return what a message is about, besides its recipe."""
    return type(message), getattr(message, "benchmark", None)


def _renamed(message: RecipeMessage, name: str) -> RecipeMessage:
    return replace(message, name=name) if isinstance(message, RecipeFacts) else replace(message, recipe=name)


def _without_cost(message: RecipeMessage) -> RecipeMessage:
    match message:
        case RecipeFacts():
            return replace(message, load_s=None, quantize_s=None, quantize_peak_bytes=None)
        case Record():
            samples = (
                replace(sample, completion=replace(sample.completion, ttft_s=None, duration_s=None))
                for sample in message.samples
            )
            return replace(message, samples=tuple(samples))
        case _:
            return message
