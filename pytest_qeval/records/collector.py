"""Collect messages, of a session under way or of finished runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_qeval.facts import (
    BenchmarkFacts,
    GateDecision,
    GenerationFacts,
    InvalidCase,
    PerturbationFacts,
    RecipeFacts,
    SensitivityFacts,
    StreamFacts,
    TimelineFacts,
)
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.memory_facts import BudgetFacts, MemoryFacts
from pytest_qeval.measure.timing_facts import BlockEnergyFacts, ProblemTimingFacts, TimingFacts
from pytest_qeval.records.messages import Message, RunResumed
from pytest_qeval.schema import Case, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The recipes of a run by their roles."""

    candidates: tuple[str, ...]
    """Recipes that gates judge, whether or not they were loaded."""
    baseline: str | None
    control: str | None = None
    """The baseline's second run."""

    @property
    def recipes(self) -> tuple[str, ...]:
        """All recipes, the baseline first."""
        first = [name for name in (self.baseline, self.control) if name]
        return tuple(dict.fromkeys([*first, *self.candidates]))


class Collector:
    """The content of all messages, by recipe; they come in any order and from any worker."""

    def __init__(self) -> None:
        """Start empty."""
        self.records: dict[tuple[str, Case], Record] = {}
        self.recipes: dict[str, RecipeFacts] = {}
        self.generation: list[GenerationFacts] = []
        self.streams: list[StreamFacts] = []
        self.timelines: dict[str, TimelineFacts] = {}
        """By worker; the last one holds everything."""
        self.timings: dict[tuple[str, str], TimingFacts] = {}
        """By recipe and workload."""
        self.block_energies: dict[tuple[str, str], BlockEnergyFacts] = {}
        """By recipe and workload."""
        self.problem_timings: dict[str, ProblemTimingFacts] = {}
        self.sensitivity: dict[str, SensitivityFacts] = {}
        self.divergence: dict[str, DivergenceFacts] = {}
        self.memory: dict[str, MemoryFacts] = {}
        self.budgets: dict[str, BudgetFacts] = {}
        self.decisions: dict[tuple[str, str, str | None], GateDecision] = {}
        """By gate expression, recipe and benchmark."""
        self.stops: dict[tuple[str, str], str] = {}
        """Why a recipe was stopped early on a benchmark, by recipe and benchmark."""
        self.benchmarks: dict[str, BenchmarkFacts] = {}
        self.invalid: dict[Case, str] = {}
        """Perturbed cases whose own solution does not pass, with the reason."""
        self._perturbations: dict[tuple[str, str], PerturbationFacts] = {}

    def add(self, message: Message) -> None:
        """Take one message; of two about the same subject the last counts."""
        match message:
            case Record():
                self.records[message.recipe, message.case] = message
            case PerturbationFacts():
                self._perturbations[message.benchmark, message.name] = message
            case InvalidCase() if not message.case.is_own:
                self.invalid[message.case] = message.reason
            case GateDecision():
                self.decisions[message.gate, message.recipe, message.benchmark] = message
                self.stops[message.recipe, message.benchmark] = message.reason
            case BenchmarkFacts():
                self.benchmarks[message.name] = message
            case TimelineFacts():
                self.timelines[message.worker] = message
            case RunResumed():
                self._begin_part(costs_hold=not message.changed)
            case _:
                self._add_measured(message)

    def holds(self, message: Message) -> bool:
        """Return whether there is a message about the same already."""
        match message:
            case Record():
                return (message.recipe, message.case) in self.records
            case RecipeFacts():
                return message.name in self.recipes
            case GenerationFacts():
                return any(one.recipe == message.recipe for one in self.generation)
            case StreamFacts():
                return any(one.recipe == message.recipe for one in self.streams)
            case _:
                return False

    def _begin_part(self, *, costs_hold: bool) -> None:
        """Forget times that hold for one part of a run only: what is timed side by side, and what time went into."""
        self.timelines, self.timings, self.block_energies, self.problem_timings = {}, {}, {}, {}
        if not costs_hold:
            self.generation, self.streams = [], []

    def _add_measured(self, message: Message) -> None:
        """Take what was found out about a recipe besides its records."""
        match message:
            case RecipeFacts():
                self.recipes[message.name] = message
            case GenerationFacts():
                self.generation.append(message)
                self._complete(message)
            case StreamFacts():
                self.streams.append(message)
            case TimingFacts():
                self.timings[message.recipe, message.workload.name] = message
            case BlockEnergyFacts():
                self.block_energies[message.recipe, message.workload.name] = message
            case ProblemTimingFacts():
                self.problem_timings[message.recipe] = message
            case SensitivityFacts():
                self.sensitivity[message.recipe] = message
            case DivergenceFacts():
                self.divergence[message.recipe] = message
            case MemoryFacts():
                self.memory[message.recipe] = message
            case BudgetFacts():
                self.budgets[message.recipe] = message

    def _complete(self, facts: GenerationFacts) -> None:
        """Add to what is known of a recipe what its batch's size became: that of a server, or less, out of memory."""
        known, size = self.recipes.get(facts.recipe), facts.batch_size
        if known is None or size is None:
            return
        if known.batch_size is None:
            self.recipes[facts.recipe] = replace(known, batch_size=size)
        elif size < known.batch_size:
            note = f"out of memory with a batch of {known.batch_size}: went on with {size}"
            self.recipes[facts.recipe] = replace(known, batch_size=size, notes=(*known.notes, note))

    def perturbations(self) -> Mapping[tuple[str, str], PerturbationFacts]:
        """Return what perturbations did, by benchmark and name; cases found invalid during the run count as invalid."""
        found = dict(self._perturbations)
        for case, reason in self.invalid.items():
            key = case.benchmark, str(case.perturbation)
            if one := found.get(key):
                reasons = {**one.reasons, case.label: reason}
                found[key] = replace(one, applied=one.applied - 1, invalid=one.invalid + 1, reasons=reasons)
        return found

    def expected_cases(self, planned: Iterable[tuple[str, Case]]) -> Iterator[tuple[str, Case]]:
        """Yield the planned cases that need a record: not those that are invalid or became needless by a decision."""
        decided = {(recipe, benchmark) for _, recipe, benchmark in self.decisions}
        for recipe, case in planned:
            if case in self.invalid:
                continue
            if not case.is_own or (recipe, case) in self.records or (recipe, case.benchmark) not in decided:
                yield recipe, case
