"""One recipe under evaluation: its engine, loaded on first use, its records, and what its generation costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from pytest_qeval.engines.base import ModelEngine
from pytest_qeval.engines.replay import ReplayEngine
from pytest_qeval.errors import InvalidProblemError, MissingCompletionError
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.facts import EnergyFacts, GenerationFacts
from pytest_qeval.measure.contention import Watch
from pytest_qeval.measure.energy import EnergyMeter
from pytest_qeval.measure.memory import PeakMemory
from pytest_qeval.measure.shared_energy import BusyTimes
from pytest_qeval.measure.timeline import Timeline
from pytest_qeval.records.messages import Message
from pytest_qeval.report.progress import OnProgress
from pytest_qeval.run.case_problems import CaseProblems
from pytest_qeval.run.forecast import Forecast
from pytest_qeval.run.outcomes import EarlyStop, Outcomes
from pytest_qeval.schema import NO_PROGRESS, Case, EngineProgress, Record
from pytest_qeval.settings import CONTROL
from pytest_qeval.stats.sequential import N_LOOKS

_ELSEWHERE = "the model is not in this process: its energy is not measured"


@dataclass(kw_only=True, eq=False)
class RecipeRun:
    """Evaluates cases with one recipe; everything that others need to know is posted."""

    recipe: str
    planned: Sequence[Case]
    """The cases of this process, to generate ahead."""
    load_engine: Callable[[str], ReplayEngine | ModelEngine]
    make_evaluator: Callable[[str, ReplayEngine | ModelEngine, Callable[[], None]], Evaluator]
    """Joins a recipe's engine and the sandboxes; the evaluator calls the function after every step."""
    problems: CaseProblems
    outcomes: Outcomes
    """Takes every finished record."""
    reused: Mapping[Case, Record]
    """Records of a saved baseline, or of the run that goes on, whose cases are not run."""
    early_stop: EarlyStop
    meter: EnergyMeter | BusyTimes
    """Measures energy while there is something to generate."""
    timeline: Timeline
    """Takes what this process spends its time on."""
    forecast: Forecast
    on_progress: OnProgress
    worker: str
    post: Callable[[Message], None]
    """Takes messages for the session."""
    work: Callable[[], None] = lambda: None
    """Called before anything is loaded, generated or executed; see `SharedMachine.work`."""
    served: bool = False
    """Whether the model is on a server or in another process, whose memory and energy are not measured."""
    drafted: bool = False
    """Whether the baseline's completions are drafts; see `GenerationFacts.drafted`."""
    watch: Watch = field(default_factory=Watch)
    """Looks for what disturbs the machine while there is something to generate."""
    _memory: PeakMemory = field(default_factory=PeakMemory, init=False)
    _loaded: tuple[ReplayEngine | ModelEngine, Evaluator] | None = field(default=None, init=False)
    _failure: BaseException | None = field(default=None, init=False)
    _metering: bool = field(default=False, init=False)
    _energy: list[EnergyFacts] = field(default_factory=list, init=False)
    _contended: str = field(default="", init=False)
    _seen: EngineProgress = field(default=NO_PROGRESS, init=False)
    _places: Mapping[Case, int] = field(default_factory=dict, init=False)
    """Indices of the planned cases, once a portion is asked for."""

    def needs_model(self, case: Case) -> bool:
        """Return whether a case has to be generated: it is neither reused nor invalid."""
        return case not in self.reused and not self.problems.fault_of(case)

    def load(self) -> None:
        """Load and quantize the model, or read the samples, and queue the planned cases; once.

        Raises:
            QEvalError: when that fails; again at every call, without trying again.
        """
        self._load()

    def _load(self) -> tuple[ReplayEngine | ModelEngine, Evaluator]:
        if self._failure is not None:
            raise self._failure
        if self._loaded is None:
            self._loaded = self._load_once()
            if not self.early_stop.applies_to(self.recipe):
                valid = self._valid(self.planned)
                self._loaded[1].submit(reversed(valid) if self.recipe == CONTROL else valid)
        return self._loaded

    def _valid(self, cases: Iterable[Case]) -> list[Case]:
        """Return the cases whose own solution passes: for others nothing is generated."""
        return [case for case in cases if not self.problems.fault_of(case)]

    def _load_once(self) -> tuple[ReplayEngine | ModelEngine, Evaluator]:
        engine = None
        self.work()
        try:
            self.problems.check_ahead(self.planned)  # solutions are executed while the model is loaded
            self.meter.prepare()  # which measures idle power
            started = time.monotonic()
            with self.timeline.spending("loading"):
                engine = self.load_engine(self.recipe)
            self.forecast.begin(self.recipe, load_s=time.monotonic() - started)
            return engine, self.make_evaluator(self.recipe, engine, self._after_step)  # which starts the sandboxes
        except BaseException as error:  # such as a test's timeout: a model is loaded once
            self._failure = error
            if engine is not None:
                engine.close()
            raise

    def model_engine(self) -> ModelEngine:
        """Return the engine, loaded on first use; not for a replay."""
        engine = self._load()[0]
        assert not isinstance(engine, ReplayEngine)  # noqa: S101 - the fixture skips what a replay cannot do
        return engine

    def evaluate(self, case: Case) -> Record:
        """Return the record of one case, and post it; one that is reused, or was evaluated before, is there already.

        Raises:
            InvalidProblemError: for a perturbed case whose own solution does not pass.
            MissingCompletionError: for a case that the samples file does not answer.
        """
        if case in self.reused:
            record = self.outcomes[self.recipe, case] = self.reused[case]
            self.early_stop.decide(self.recipe, case.benchmark)
            return record
        if evaluated := self.outcomes.get((self.recipe, case)):  # a test that is run again, or shares its case
            return evaluated
        if fault := self.problems.fault_of(case):
            raise InvalidProblemError(fault)
        self.work()
        engine, evaluator = self._load()
        if self.early_stop.applies_to(self.recipe):
            evaluator.submit(self._valid(self._portion(case)))
        self._switch_meter(engine)
        self._seen = engine.progress
        try:
            record = evaluator.evaluate(case)
        except MissingCompletionError:
            if fault := self.problems.fault_of(case):
                raise InvalidProblemError(fault) from None
            raise
        self.timeline.cases += 1
        record = replace(record, prompt_diff=self.problems.prompt_diff_of(case))
        self.outcomes[self.recipe, case] = record
        self.post(record)
        self.early_stop.decide(self.recipe, case.benchmark)
        return record

    def _portion(self, case: Case) -> Sequence[Case]:
        """Return the cases up to the next look at the evidence, which may end the recipe."""
        if not self._places:
            self._places = {one: at for at, one in enumerate(self.planned)}
        if case not in self._places:
            return [case]
        size = ceil(len(self.planned) / N_LOOKS)
        start = self._places[case] // size * size
        return self.planned[start : start + size]

    def _after_step(self) -> None:
        """Meter, count and show what a step of the engine took."""
        assert self._loaded is not None  # noqa: S101 - it makes steps
        engine, evaluator = self._loaded
        before, self._seen, now = self._seen, engine.progress, time.monotonic()
        for phase, spent_s in (
            ("prefill", self._seen.prefill_s - before.prefill_s),
            ("decode", self._seen.decode_s - before.decode_s),
        ):
            if spent_s > 0:
                tokens = max(0, self._seen.new_tokens - before.new_tokens)  # a server's broken answer is not counted
                self.timeline.add(phase, now - spent_s, now, new_tokens=tokens if phase == "decode" else 0)
        self._switch_meter(engine)
        self.meter.poll()
        self.on_progress(
            lambda: self.forecast.progress(self.recipe, engine, evaluator.executions),
            done=self._seen.finished == self._seen.total,
        )

    def _switch_meter(self, engine: ReplayEngine | ModelEngine) -> None:
        """Measure energy, and watch the machine, while there is something to generate, and only then."""
        if isinstance(engine, ReplayEngine) or self.served:
            return
        busy = engine.progress.finished < engine.progress.total
        if busy and not self._metering:
            self.meter.start(self.recipe)
            self.watch.start()
        elif self._metering and not busy:
            self._stop_meter()
        self._metering = busy

    def _stop_meter(self) -> None:
        self._energy.append(self.meter.stop())
        self._contended = self._contended or self.watch.stop().reason

    def close(self) -> None:
        """Free the model's memory, and post what generation cost; a later case would load it again."""
        if self._loaded is None:
            return
        engine, self._loaded = self._loaded[0], None
        progress = engine.progress
        self.forecast.end(engine)
        if self._metering:
            self._stop_meter()
        engine.close()
        self.post(self.timeline.facts(self.worker))
        if isinstance(engine, ReplayEngine):
            return
        facts = GenerationFacts(
            recipe=self.recipe,
            worker=self.worker,
            busy_s=progress.busy_s,
            new_tokens=progress.new_tokens,
            prompt_tokens=progress.prompt_tokens,
            prefill_s=progress.prefill_s,
            decode_s=progress.decode_s,
            peak_memory_bytes=None if self.served else self._memory.read(),
            energy=EnergyFacts(undefined=_ELSEWHERE) if self.served else EnergyFacts.total(self._energy),
            drafted=self.drafted,
            contended=self._contended,
            batch_size=engine.facts().get("batch_size"),
        )
        self._energy, self._metering, self._contended = [], False, ""
        self.post(facts)
