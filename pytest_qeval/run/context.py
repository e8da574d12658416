"""One process at work: what its recipes share, put together once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path

from pytest_qeval.config.checks import check_overlap
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.engines.base import ModelEngine
from pytest_qeval.engines.replay import ReplayEngine
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.execution.pacing import PacedPool
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.measure.energy import EnergyMeter
from pytest_qeval.measure.shared_energy import BusyTimes
from pytest_qeval.measure.timeline import Timeline
from pytest_qeval.records.messages import Message
from pytest_qeval.report.progress import OnProgress, RecipeLoading, show_nothing
from pytest_qeval.run.baseline_scores import BaselineScorer
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.run.case_problems import CaseProblems
from pytest_qeval.run.efficiency import EfficiencyBench
from pytest_qeval.run.engines import EngineLoader
from pytest_qeval.run.forecast import Forecast
from pytest_qeval.run.measurements import Measurements
from pytest_qeval.run.outcomes import EarlyStop, Outcomes
from pytest_qeval.run.recipe_run import RecipeRun
from pytest_qeval.run.replay import Replays
from pytest_qeval.run.resumed import kept_facts, known_faults
from pytest_qeval.run.shared_machine import SharedMachine
from pytest_qeval.schema import Case, InfillingForm, LoadingProgress, Record
from pytest_qeval.settings import ExecutionSettings
from pytest_qeval.verdict.baseline.key import composition_of
from pytest_qeval.verdict.baseline.reuse import ReusableCases, SavedBaseline
from pytest_qeval.verdict.gates.checks import check_benchmark_kinds, check_gates
from pytest_qeval.verdict.resume import ResumedRun

_TIMED_PROBLEMS = 10
"""Problems that are answered one at a time unless `--qeval-limit` says otherwise: the fewest that have a p90."""


@dataclass(eq=False)
class RunContext:
    """Puts the parts of a process together, opens what is needed on first use, and closes everything at the end.

    What the session has to know leaves as messages through `drain`.
    """

    settings: RunSettings
    _: KW_ONLY
    worker: str = "main"
    n_workers: int = 1
    """How many processes share the machine."""
    on_progress: OnProgress = show_nothing
    saved: SavedBaseline | None = None
    """A baseline that is not run, or not wholly."""
    own_perturbations: Callable[[], Iterable[object]] = tuple
    """Returns the project's perturbations, once its files are read."""
    sandboxes: Callable[[ExecutionSettings], SandboxPool] = SandboxPool
    """Starts the sandboxes."""
    shared_folder: Path | None = None
    """What the workers of a run share; None where there is only one process."""
    resumed: ResumedRun | None = None
    """The run that goes on, whose records are taken."""

    def __post_init__(self) -> None:
        """Put the parts together; nothing is loaded."""
        settings, saved = self.settings, self.saved
        self._open = ExitStack()
        self._outbox: list[Message] = []
        self._planned: dict[str, list[Case]] = {}
        self._ahead: dict[str, list[Case]] = {}
        """Those of them that have no record yet."""
        self.outcomes: Outcomes = {}
        self._reused: dict[Case, Record] = {}
        self._replays = Replays(
            settings=settings,
            benchmark=lambda name: self.benchmarks.find(name),  # noqa: PLW0108 - made below
            problem=lambda benchmark, label: self.problems.labelled(benchmark, label),  # noqa: PLW0108 - made below
        )
        self.benchmarks = BenchmarkLoader(settings=settings, post=self._post)
        self.problems = CaseProblems(
            settings=settings,
            benchmark=self.benchmarks.find,
            execute=lambda program: self.pool.submit(program),  # noqa: PLW0108 - starts the pool on first use
            post=self._post,
            own=self.own_perturbations,
            known=known_faults(self.resumed) if self.resumed else {},
        )
        self.early_stop = EarlyStop(
            settings=settings,
            planned=self._planned,
            outcomes=self.outcomes,
            is_scored=self.benchmarks.is_scored,
            clusters=self.benchmarks.cluster,
            post=self._post,
        )
        self._engines = EngineLoader(
            settings=settings,
            replays=self._replays,
            check_batch=saved.check_batch if saved else lambda _: None,
            post=self._post,
            on_loading=self._show_loading,
        )
        self._machine = SharedMachine(self.shared_folder, settle=self._settle)
        # Several meters would count the same joules again, and a replay uses none.
        meters = self.n_workers == 1 and not settings.replays and not settings.all_served
        self.meter = EnergyMeter(settings.energy) if meters else BusyTimes()
        self.efficiency = EfficiencyBench(
            load=self._engines.load_model,
            make_evaluator=self._quiet_evaluator,
            machine=self._machine,
            post=self._post,
            meter=self.meter,
        )
        scores = BaselineScorer(
            settings=settings, saved=saved, benchmarks=self.benchmarks, engines=self._engines, post=self._post
        )
        self.measurements = Measurements(
            settings=settings,
            benchmarks=self.benchmarks,
            baseline_scores=scores,
            machine=self._machine,
            post=self._post,
            kept=kept_facts(self.resumed) if self.resumed else {},
        )
        self.timeline = Timeline()
        self._forecast = Forecast(
            planned=self._ahead,
            sandboxes=settings.execution.workers,
            solution=self._solution,
            lengths=self.saved.lengths if self.saved else lambda _: (),
        )

    @cached_property
    def pool(self) -> PacedPool:
        """The sandboxes, started on first use."""
        sandboxes = self._open.enter_context(self.sandboxes(self.settings.execution))
        return PacedPool(sandboxes, timeout_s=self.settings.execution.timeout_s)

    def notes(self, cases: Sequence[Case]) -> Iterator[str]:
        """Yield what a user has to know about prompts to be filled in, and the samples file; see `Replays.notes`."""
        for name in dict.fromkeys(case.benchmark for case in cases):
            if template := self.benchmarks.facts(name).infilling:
                style = self.settings.generation.prompt_style
                never = ", never a chat" if style.startswith("chat") else ""
                yield f"{name}: {InfillingForm(template=template).summary}{never}"
        found = self.benchmarks.read  # those of deselected tests, too
        known = {label for one in found for label in (*one.problems, *one.excluded)}
        yield from self._replays.notes(cases, known)

    def infills(self, benchmark: str) -> bool:
        """Return whether completions of a benchmark stand in the middle of programs."""
        return self.benchmarks.find(benchmark).infills

    def _settle(self) -> None:
        """Wait until the sandboxes are idle, if there are any."""
        if "pool" in self.__dict__:  # else this would start it
            self.pool.settle()

    def timed_cases(self) -> Sequence[Case]:
        """Return the problems that the suite `efficiency` answers one at a time.

        Raises:
            QEvalError: when the benchmark cannot be had.
        """
        return self.benchmarks.cases(self.benchmarks.default_name)[: self.settings.limit or _TIMED_PROBLEMS]

    def plan(self, planned: Sequence[tuple[str, Case]]) -> None:
        """Take the cases of this process, by recipe, to generate them ahead; reused ones are not generated."""
        for recipe, case in planned:
            if not self._is_saved(recipe, case):
                self._planned.setdefault(recipe, []).append(case)
            if not self.reuses(recipe, case):
                self._ahead.setdefault(recipe, []).append(case)
        # Where a recipe may stop early, its records come one by one, as they came the first time.
        known = self.resumed.records if self.resumed else {}
        self.outcomes |= {key: record for key, record in known.items() if not self.early_stop.applies_to(key[0])}

    def check_benchmarks(self, names: Iterable[str]) -> None:
        """Make sure that the collected benchmarks fit the gates, and that no recipe is calibrated on them.

        Raises:
            QEvalError: for a gate about another benchmark, or a calibration text that is a problem.
        """
        names, settings = list(dict.fromkeys(names)), self.settings
        if names:
            check_gates(settings.gates, candidates=settings.candidates, benchmarks=names)
            scored = [name for name in names if self.benchmarks.is_scored(name)]
            executed = [name for name in names if name not in scored]
            check_benchmark_kinds(settings.gates, executed=executed, scored=scored)
        check_overlap(settings, [self.benchmarks.find(name) for name in names])

    def find_reusable(self, cases: Iterable[Case]) -> ReusableCases:
        """Return which cases the saved baseline need not run again; see `SavedBaseline.find_reusable`.

        Raises:
            UsageError: when the user named the file, and it lacks a case or was made of other data.
        """
        if self.saved is None:
            return ReusableCases()
        cases, samples = list(cases), self.settings.samples
        answered = [case for case in cases if samples is None or case.label in samples]  # the others are missing anyway
        return self.saved.find_reusable(
            answered,
            problems=self.problems,
            benchmark=self.benchmarks.facts,
            composition=composition_of(cases, threads=self.settings.model.threads, n_workers=self.n_workers),
        )

    def reuse(self, cases: Iterable[Case]) -> None:
        """Take over the saved baseline's records of these cases."""
        if self.saved:
            self._reused = {case: self.saved.records[case] for case in cases}
            self.outcomes |= {(self.saved.recipe, case): record for case, record in self._reused.items()}

    def reuses(self, recipe: str | None, case: Case | None) -> bool:
        """Return whether a case's record is the saved baseline's, or that of the run that goes on."""
        known = self.resumed.records if self.resumed else {}
        return self._is_saved(recipe, case) or (recipe, case) in known

    def _is_saved(self, recipe: str | None, case: Case | None) -> bool:
        return self.saved is not None and recipe == self.saved.recipe and case in self._reused

    def open(self, recipe: str) -> RecipeRun:
        """Return a recipe's run, with nothing loaded yet."""
        return RecipeRun(
            recipe=recipe,
            planned=self._ahead.setdefault(recipe, []),
            load_engine=self._load,
            make_evaluator=self._evaluator,
            problems=self.problems,
            outcomes=self.outcomes,
            reused=self._records_of(recipe),
            early_stop=self.early_stop,
            meter=self.meter,
            timeline=self.timeline,
            forecast=self._forecast,
            on_progress=self.on_progress,
            served=not self.settings.in_process(recipe),
            drafted=self._drafts(recipe),
            worker=self.worker,
            post=self._post,
            work=self._machine.work,
        )

    def _records_of(self, recipe: str) -> Mapping[Case, Record]:
        """Return a recipe's records that are reused."""
        saved = self._reused if self.saved and recipe == self.saved.recipe else {}
        known = self.resumed.records if self.resumed else {}
        return {**saved, **{case: record for (name, case), record in known.items() if name == recipe}}

    def _show_loading(self, recipe: str, loading: LoadingProgress) -> None:
        self.on_progress(lambda: RecipeLoading(recipe=recipe, loading=loading), done=loading.share >= 1)

    def _load(self, recipe: str) -> ReplayEngine | ModelEngine:
        """Load a recipe's engine in place of those of the suite `efficiency`."""
        self.efficiency.close()
        return self._engines.load(recipe)

    def _quiet_evaluator(self, recipe: str, engine: ModelEngine) -> Evaluator:
        """Return an evaluator for problems that are timed, during which nothing is shown."""
        return self._evaluator(recipe, engine, on_step=lambda: None)

    def _evaluator(self, recipe: str, engine: ReplayEngine | ModelEngine, on_step: Callable[[], None]) -> Evaluator:
        return Evaluator(
            recipe=recipe,
            engine=engine,
            execute=self.pool.submit,
            benchmark=self.benchmarks.find,
            problem=self.problems.of,
            n_samples=lambda case: self._n_samples(recipe, case),
            expected=lambda case: self._baseline_texts(case) if self._drafts(recipe) else (),
            style=self.settings.generation.prompt_style,
            form=self.benchmarks.form,
            worker=self.worker,
            on_step=on_step,
            waiting=lambda: self.timeline.spending("programs"),
        )

    def _solution(self, case: Case) -> str:
        return self.problems.of(case).canonical_solution

    def _n_samples(self, recipe: str, case: Case) -> int:
        completions = self._replays.completions(recipe)
        if completions is None:
            return self.settings.generation.n_samples
        return len(completions(case.benchmark, case.label))

    def _drafts(self, recipe: str) -> bool:
        """Return whether completions of a recipe are drafted from the baseline's."""
        drafts = self.settings.baseline_drafts and recipe in self.settings.candidates
        return drafts and self.settings.in_process(recipe)

    def _baseline_texts(self, case: Case) -> tuple[str, ...]:
        """Return the baseline's completions of a case; empty where this process has none."""
        record = self.outcomes.get((str(self.settings.baseline), case))
        return tuple(sample.completion.text for sample in record.samples) if record else ()

    def _post(self, message: Message) -> None:
        self._outbox.append(message)

    def drain(self) -> list[Message]:
        """Hand over the messages since the last call."""
        messages, self._outbox = self._outbox, []
        return messages

    def close(self) -> None:
        """Free what is loaded for timing, and stop the sandboxes and the meter; calling it twice is fine."""
        self.efficiency.close()
        self._machine.close()
        self._open.close()
        self.meter.close()
