"""One recipe that is being evaluated: its engine, once it is needed, and what its generation costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

from pytest_qeval import registry
from pytest_qeval.benchmarks.selftest import RECIPES
from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.replay import Answers, ReplayEngine
from pytest_qeval.errors import InvalidProblemError
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.facts import EnergyFacts, GenerationFacts, RecipeFacts, Role, SensitivityFacts, StreamFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts, divergence_facts
from pytest_qeval.measure.memory import PeakMemory
from pytest_qeval.measure.topk import Scores
from pytest_qeval.plan import default_benchmark
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Case, Record
from pytest_qeval.settings import CONTROL
from pytest_qeval.stats.sequential import N_LOOKS

if TYPE_CHECKING:
    from pytest_qeval.run.context import RunContext

__all__ = ["RecipeRun"]

_SENSITIVITY_PROBLEMS = 20
"""Whose solutions blocks are compared on, unless `--qeval-limit` says otherwise: about a thousand tokens."""


class RecipeRun:
    """A recipe that is being evaluated: its engine, once it is needed, and what its generation costs."""

    def __init__(self, runtime: RunContext, recipe: str) -> None:
        """Name the recipe; nothing is loaded yet."""
        self.recipe = recipe
        self._runtime = runtime
        self._memory = PeakMemory()
        self._engine: ReplayEngine | ModelEngine | None = None
        self._evaluator: Evaluator | None = None
        self._failure: Exception | None = None
        self._metering = False
        self._energy: list[EnergyFacts] = []

    def load(self) -> None:
        """Load and quantize the model, or read the samples, and queue the planned cases; once.

        Raises:
            QEvalError: when that fails; again at every call, without trying again.
        """
        if self._failure is not None:
            raise self._failure
        if self._engine is None:
            try:
                self._engine = self._load()
            except Exception as error:
                self._failure = error
                raise
            self._evaluator = self._evaluating(self._engine)
            if not self._runtime.may_stop_early(self.recipe):
                planned = self._runtime.planned(self.recipe)
                self._runtime.case_problems.prove(planned)
                self._evaluator.submit(reversed(planned) if self.recipe == CONTROL else planned)

    @cached_property
    def _answers(self) -> Answers | None:
        return self._runtime.answers(self.recipe)

    @property
    def engine(self) -> ReplayEngine | ModelEngine:
        """What answers; loaded when it is asked for first."""
        self.load()
        assert self._engine is not None  # noqa: S101 - just loaded
        return self._engine

    def _evaluating(self, engine: ReplayEngine | ModelEngine) -> Evaluator:
        runtime = self._runtime
        return Evaluator(
            recipe=self.recipe,
            engine=engine,
            executor=runtime.pool,
            benchmark=runtime.benchmark,
            question=runtime.case_problems.of,
            n_samples=self._n_samples,
            style=runtime.settings.generation.prompt_style,
            worker=runtime.worker,
            on_progress=lambda progress: runtime.on_progress(self.recipe, progress),
        )

    def _load(self) -> ReplayEngine | ModelEngine:
        settings = self._runtime.settings
        roles: Mapping[str | None, Role] = {settings.baseline: "baseline", CONTROL: "control"}
        role = roles.get(self.recipe, "candidate")
        if self._answers is not None:
            summary = RECIPES[self.recipe] if settings.selftest else "completions from a samples file"
            facts = RecipeFacts(name=self.recipe, role=role, summary=summary)
            self._runtime.post({"type": "recipe", **asdict(facts)})
            return ReplayEngine(self._answers)
        recipe, source = self._definition()
        engine = source.open(settings, recipe, settings.model_of(self.recipe))
        self._runtime.check_device(engine)
        facts = RecipeFacts(name=self.recipe, role=role, **{**recipe.to_dict(), **engine.facts()})
        self._runtime.post({"type": "recipe", **asdict(facts)})
        return engine

    def _definition(self) -> tuple[Recipe, EngineSource]:
        settings = self._runtime.settings
        recipe = find_recipe(settings.definition_of(self.recipe))
        return recipe, registry.load("engines", settings.model.engine)

    @property
    def replays(self) -> bool:
        """Whether completions are known before, so that there is no speed to measure."""
        return self._runtime.settings.replays

    @property
    def default_benchmark(self) -> str:
        """What is asked where a suite works on any benchmark."""
        return default_benchmark(self._runtime.settings)

    @property
    def quantizes(self) -> bool:
        """Whether the recipe rounds anything by a scheme of this package."""
        if self.replays:
            return False
        recipe, _ = self._definition()
        return recipe.quantizes and not recipe.quantizer

    def _n_samples(self, case: Case) -> int:
        if self._answers is None:
            return self._runtime.settings.generation.n_samples
        return len(self._answers(case.benchmark, case.label))

    def evaluate(self, case: Case) -> Record:
        """Return the record of one case, and leave it as a message.

        Raises:
            InvalidProblemError: for a perturbed case that is no question.
        """
        self.load()
        assert self._evaluator is not None  # noqa: S101 - just loaded
        if self._runtime.may_stop_early(self.recipe):
            self._evaluator.submit(self._portion(case))
        self._meter()
        record = self._evaluator.evaluate(case)
        self._meter()
        fault = self._runtime.case_problems.fault_of(case)
        if fault:
            raise InvalidProblemError(fault)
        record = replace(record, prompt_diff=self._runtime.case_problems.prompt_diff_of(case))
        self._runtime.outcomes[self.recipe, case] = record
        self._runtime.post(record.to_dict())
        self._runtime.decide(self.recipe, case.benchmark)
        return record

    def _portion(self, case: Case) -> Sequence[Case]:
        """Return the cases between two looks at the evidence, for the next look may end it."""
        planned = self._runtime.planned(self.recipe)
        if case not in planned:
            return [case]
        size = ceil(len(planned) / N_LOOKS)
        start = planned.index(case) // size * size
        return planned[start : start + size]

    def measure_stream(self) -> StreamFacts:
        """Measure a single stream of this recipe, and leave the times as a message."""
        assert not isinstance(self.engine, ReplayEngine)  # noqa: S101 - the fixture skips such a test
        facts = StreamFacts(recipe=self.recipe, **asdict(self.engine.measure_stream()))
        self._runtime.post({"type": "stream", **asdict(facts)})
        return facts

    def measure_sensitivity(self, benchmark: str) -> SensitivityFacts:
        """Quantize one block at a time and compare on a benchmark's solutions; leave the ranking as a message.

        Works on a model of its own, whether or not this recipe's is loaded.
        """
        asked = self._runtime.benchmark(benchmark)
        problems = list(asked.problems.values())[: self._runtime.settings.limit or _SENSITIVITY_PROBLEMS]
        solved = [(self._runtime.shown(asked, problem), problem.canonical_solution) for problem in problems]
        settings = self._runtime.settings
        recipe, source = self._definition()
        facts = source.sensitivity(settings, recipe, settings.model_of(self.recipe), solved)
        self._runtime.post({"type": "sensitivity", **asdict(facts), "recipe": self.recipe})
        return facts

    def score(self, benchmark: str, against: Scores | None = None) -> Scores:
        """Return the log-probabilities on a benchmark's solutions; with `against`, of the same tokens as there."""
        assert not isinstance(self.engine, ReplayEngine)  # noqa: S101 - the fixture skips such a test
        return self.engine.score(self._runtime.solved(benchmark), against=against)

    def measure_divergence(self, benchmark: str) -> DivergenceFacts | None:
        """Compare with the baseline on a benchmark's solutions, and leave what is found as a message.

        The baseline itself only gets its log-probabilities taken, if nobody has them yet. None where there is nothing
        to compare.
        """
        settings = self._runtime.settings
        if self.recipe == CONTROL:
            return None  # one text at a time there is no batch order, and nothing to differ in
        if self.recipe == (settings.baseline or settings.recipes[0]):
            self._runtime.scores(benchmark, own=self)
            return None
        if settings.baseline is None:
            return None
        baseline = self._runtime.scores(benchmark)
        facts = divergence_facts(
            baseline,
            self.score(benchmark, against=baseline),
            recipe=self.recipe,
            baseline_recipe=settings.baseline,
            benchmark=benchmark,
        )
        self._runtime.post({"type": "divergence", **asdict(facts)})
        return facts

    def _meter(self) -> None:
        """Meter while there is something to generate, and only then."""
        if isinstance(self.engine, ReplayEngine):
            return
        progress = self.engine.progress
        busy = progress.finished < progress.total
        if busy and not self._metering:
            self._runtime.meter.start(self.recipe)
        elif self._metering and not busy:
            self._energy.append(self._runtime.meter.stop())
        self._metering = busy

    def close(self) -> None:
        """Return the model's memory back and leave what generating cost as a message."""
        if self._engine is None:
            return
        progress = self._engine.progress
        if self._metering:
            self._energy.append(self._runtime.meter.stop())
        self._engine.close()
        if isinstance(self._engine, ReplayEngine):
            return
        facts = GenerationFacts(
            recipe=self.recipe,
            worker=self._runtime.worker,
            busy_s=progress.busy_s,
            new_tokens=progress.new_tokens,
            prompt_tokens=progress.prompt_tokens,
            peak_memory_bytes=self._memory.read(),
            energy=EnergyFacts.total(self._energy),
        )
        self._runtime.post({"type": "generation", **asdict(facts)})
