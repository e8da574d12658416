"""Collect messages: the same way for a session that runs and for runs that were finished long ago."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pytest_qeval.facts import (
    Decision,
    GenerationFacts,
    PerturbationFacts,
    RecipeFacts,
    SensitivityFacts,
    StreamFacts,
)
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.schema import Case, Json, Record

__all__ = ["Collector", "Roles"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who is compared with whom."""

    candidates: tuple[str, ...]
    """Recipes that gates judge, whether or not they were loaded."""
    baseline: str | None
    control: str | None = None
    """The baseline's second run."""

    @property
    def recipes(self) -> tuple[str, ...]:
        """All of them, the baseline first."""
        first = [name for name in (self.baseline, self.control) if name]
        return tuple(dict.fromkeys([*first, *self.candidates]))


class Collector:
    """Everything that messages told, by recipe; they come in any order and from any worker.

    Messages are plain dicts with a `type`: `record`, `recipe`, `generation`, `stream`, `sensitivity`, `divergence`,
    `scores`, `decision`, `benchmark`, `perturbation` and `invalid`. A type that is not known is left alone.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self.records: dict[tuple[str, Case], Record] = {}
        self.recipes: dict[str, RecipeFacts] = {}
        self.generation: list[GenerationFacts] = []
        self.streams: list[StreamFacts] = []
        self.sensitivity: dict[str, SensitivityFacts] = {}
        self.divergence: dict[str, DivergenceFacts] = {}
        self.scores: dict[tuple[str, str], Json] = {}
        """Messages with a baseline's log-probabilities, by recipe and benchmark."""
        self.decisions: dict[tuple[str, str, str | None], Decision] = {}
        """By gate expression, recipe and benchmark."""
        self.benchmarks: dict[str, Json] = {}
        self.perturbations: dict[tuple[str, str], PerturbationFacts] = {}
        """By benchmark and name."""
        self.invalid: dict[Case, str] = {}
        """Perturbed cases whose own solution does not pass, with the reason; they are nobody's."""

    def add(self, message: Json) -> None:
        """Take one message."""
        body = {name: value for name, value in message.items() if name != "type"}
        match message["type"]:
            case "record":
                record = Record.from_dict(message)
                self.records[record.recipe, record.case] = record
            case "recipe":
                self.recipes[body["name"]] = RecipeFacts.from_dict(body)
            case "generation":
                self.generation.append(GenerationFacts.from_dict(body))
            case "stream":
                self.streams.append(StreamFacts.from_dict(body))
            case "sensitivity":
                self.sensitivity[body["recipe"]] = SensitivityFacts.from_dict(body)
            case "divergence":
                self.divergence[body["recipe"]] = DivergenceFacts.from_dict(body)
            case "scores":
                self.scores[body["recipe"], body["benchmark"]] = message
            case "perturbation":
                self.perturbations[body["benchmark"], body["name"]] = PerturbationFacts(**body)
            case "invalid":
                reason = body.pop("reason")
                self.invalid[Case(**body)] = reason
            case "decision":
                gate, recipe, benchmark = (body.pop(name) for name in ("gate", "recipe", "benchmark"))
                self.decisions[gate, recipe, benchmark] = Decision(**body)
            case "benchmark":
                self.benchmarks[body.pop("name")] = body

    def left_early(self) -> Mapping[tuple[str, str], str]:
        """Return why a recipe was left before all cases of a benchmark were asked, by recipe and benchmark."""
        return {(recipe, str(name)): decision.reason for (_, recipe, name), decision in self.decisions.items()}

    def perturbations_applied(self) -> Mapping[tuple[str, str], PerturbationFacts]:
        """Count as invalid what showed itself to be no question only when it was executed."""
        found = dict(self.perturbations)
        for case, reason in self.invalid.items():
            key = case.benchmark, str(case.perturbation)
            if one := found.get(key):
                reasons = {**one.reasons, case.label: reason}
                found[key] = replace(one, applied=one.applied - 1, invalid=one.invalid + 1, reasons=reasons)
        return found

    def needed(self, planned: Iterable[tuple[str, Case]]) -> Iterable[tuple[str, Case]]:
        """Leave out what is no question, and what was not asked any more, once a recipe was decided."""
        decided = {(recipe, benchmark) for _, recipe, benchmark in self.decisions}
        for recipe, case in planned:
            if case in self.invalid:
                continue
            if case.perturbation or (recipe, case) in self.records or (recipe, case.benchmark) not in decided:
                yield recipe, case
