"""What one process works with: benchmarks, sandboxes, the meter, and one loaded recipe at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from random import Random

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.selftest import make_completion
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.engines.base import EngineProgress, ModelEngine
from pytest_qeval.engines.replay import Answers, read_samples
from pytest_qeval.errors import UsageError
from pytest_qeval.execution.pacing import PacedPool
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.measure.energy import EnergyMeter
from pytest_qeval.measure.topk import Scores
from pytest_qeval.plan import cases_of, default_benchmarks
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.run.case_problems import CaseProblems
from pytest_qeval.run.recipe_run import RecipeRun
from pytest_qeval.schema import Case, Json, Problem, Record
from pytest_qeval.settings import ExecutionSettings, Settings
from pytest_qeval.verdict.baseline.reuse import Saved
from pytest_qeval.verdict.gates.decider import Decider
from pytest_qeval.verdict.gates.grammar import Gate

__all__ = ["RunContext"]

OnProgress = Callable[[str, EngineProgress], None]


class RunContext:
    """Opens what is needed when it is needed first, and closes everything at the end.

    What others have to know leaves as messages (see `Session`) through `drain`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        gates: Sequence[Gate] = (),
        worker: str,
        n_workers: int,
        on_progress: OnProgress,
        saved: Saved | None = None,
        own_perturbations: Callable[[], Iterable[object]] = tuple,
        sandboxes: Callable[[ExecutionSettings], SandboxPool] = SandboxPool,
    ) -> None:
        """Take what does not change.

        Args:
            settings: What the user asked for.
            gates: What must hold: a run may end when that is known.
            worker: Name of this process.
            n_workers: How many processes share the machine.
            on_progress: Told where a recipe's engine stands.
            saved: A baseline that is not run, or not wholly.
            own_perturbations: What the project brings along, asked when it is needed.
            sandboxes: Starts the sandboxes.
        """
        self.settings = settings
        self.gates = tuple(gates)
        self._saved = saved
        self.decider = Decider(settings, gates) if settings.until_decided else None
        self._scores: dict[str, Scores] = {}
        self.worker = worker
        self.on_progress = on_progress
        shared = f"{n_workers} workers share the machine, whose energy cannot be told apart" if n_workers > 1 else ""
        self.meter = EnergyMeter(unavailable=shared)
        self.outcomes: dict[tuple[str, Case], Record] = {}
        self._planned: dict[str, list[Case]] = {}
        self._outbox: list[Json] = []
        self.library = BenchmarkLoader(settings.data, self.post)
        self._sandboxes = sandboxes
        self._open = ExitStack()
        self._samples: Mapping[str, Sequence[str]] | None = None
        self.case_problems = CaseProblems(
            settings,
            benchmark=self.benchmark,
            known=lambda: self.samples,
            execute=lambda program: self.pool.submit(program),  # noqa: PLW0108 - which starts the pool only then
            post=self.post,
            own=own_perturbations,
        )

    @cached_property
    def pool(self) -> PacedPool:
        """The sandboxes, started on first use."""
        sandboxes = self._open.enter_context(self._sandboxes(self.settings.execution))
        return PacedPool(sandboxes, timeout_s=self.settings.execution.timeout_s)

    @property
    def samples(self) -> Mapping[str, Sequence[str]] | None:
        """The samples file to replay, by task id; None when there is none.

        Raises:
            DataError: when the file cannot be read.
        """
        if self._samples is None and self.settings.completions:
            self._samples = read_samples(self.settings.completions)
        return self._samples

    def answers(self, recipe: str) -> Answers | None:
        """Return what is replayed under a recipe; None when a model answers.

        Raises:
            DataError: when the samples file cannot be read.
        """
        if self.settings.selftest:
            return lambda benchmark, label: (make_completion(recipe, self.case_problems.labelled(benchmark, label)),)
        samples = self.samples
        return None if samples is None else lambda _, task_id: samples.get(task_id, ())

    def benchmark(self, name: str) -> Benchmark:
        """Read a benchmark once.

        Raises:
            UnknownNameError: when there is none of that name.
            DataError: when its data cannot be read.
        """
        return self.library.find(name)

    def is_scored(self, name: str) -> bool:
        """Return whether the answers to a benchmark are scored and not executed."""
        return isinstance(self.benchmark(name), TextBenchmark)

    def cases(self, benchmark: str) -> tuple[Case, ...]:
        """Return the cases of a benchmark that this run asks.

        Raises:
            UsageError: when none is left, such as for samples of another benchmark.
        """
        cases = cases_of(self.benchmark(benchmark), limit=self.settings.limit, tasks=self.samples)
        if self.settings.until_decided:  # or the first so many would speak for easy problems only
            cases = tuple(Random(self.settings.generation.seed).sample(cases, len(cases)))  # noqa: S311 - no secret
        if not cases:
            wanted, found = (
                next(iter(self.benchmark(benchmark).problems), "none"),
                next(iter(self.samples or ()), "none"),
            )
            raise UsageError(
                f"{self.settings.completions} holds no completion of a {benchmark} problem: its task ids are such as "
                f"{found}, and {wanted} is one of the benchmark's. Name the suite that it answers with --qeval-suite."
            )
        return cases

    @property
    def default_benchmarks(self) -> tuple[str, ...]:
        """What suites that work on any benchmark ask; of samples, the benchmarks that they answer."""
        return self.settings.benchmarks or default_benchmarks(self.settings, replayed=self.samples)

    def reuse(self, cases: Iterable[Case]) -> None:
        """Take the saved baseline's answers to these cases."""
        if self._saved:
            self.outcomes |= {(self._saved.baseline.recipe, case): self._saved.records[case] for case in cases}

    def solved(self, benchmark: str) -> list[tuple[str, str, str]]:
        """Return task id, prompt and canonical solution of the problems of a benchmark that this run asks."""
        asked = self.benchmark(benchmark)
        chosen = (asked.problems[case.task_id] for case in self.cases(benchmark))
        return [(problem.task_id, self.shown(asked, problem), problem.canonical_solution) for problem in chosen]

    def shown(self, asked: Benchmark, problem: Problem) -> str:
        """Return what solutions are shown after: the plain prompt, or what an encoder reads where one is asked."""
        style = self.settings.generation.prompt_style
        return asked.prompt(problem, "source" if style == "source" else "completion").text

    def check_device(self, engine: ModelEngine) -> None:
        """Make sure that a model has been loaded where the saved baseline's was; which device that is, shows only then.

        Raises:
            UsageError: when it has not, and the user does not accept that.
        """
        refused = self._saved and self._saved.refusal_of(engine.facts()["device"], self.settings)
        if refused:
            engine.close()
            raise refused

    def scores(self, benchmark: str, own: RecipeRun | None = None) -> Scores:
        """Return the baseline's log-probabilities on a benchmark's solutions, measured once.

        Args:
            benchmark: Whose solutions.
            own: The baseline's own run, where there is one; else its model is loaded and let go.

        Raises:
            UsageError: when a saved baseline that the user named has none.
        """
        if benchmark not in self._scores:
            saved = self._saved_scores(benchmark)
            if saved:
                self._scores[benchmark] = saved
            elif self.settings.baseline_file:
                raise UsageError(
                    f"{self.settings.baseline_file} holds no log-probabilities on {benchmark}: make it again with "
                    "--qeval-save-baseline and --qeval-suite divergence."
                )
            else:
                self._measure_scores(benchmark, own)
        return self._scores[benchmark]

    def _saved_scores(self, benchmark: str) -> Scores | None:
        """Look for the log-probabilities on all problems that are asked; fewer would be another mean."""
        scores = self._saved.scores(benchmark) if self._saved else None
        asked = {task_id for task_id, _, _ in self.solved(benchmark)} if scores else set()
        return scores if scores and asked <= {*scores.texts, *scores.incomparable} else None

    def _measure_scores(self, benchmark: str, own: RecipeRun | None) -> None:
        run = own or self.open(self.settings.baseline or self.settings.recipes[0])
        scores = run.score(benchmark)
        if own is None:
            run.close()
        self._scores[benchmark] = scores
        self.post({"type": "scores", "recipe": run.recipe, "benchmark": benchmark, **scores.to_dict()})

    def plan(self, planned: Sequence[tuple[str, Case]]) -> None:
        """Take the cases that this process will be asked for, to generate them ahead."""
        for recipe, case in planned:
            self._planned.setdefault(recipe, []).append(case)

    def open(self, recipe: str) -> RecipeRun:
        """Return a recipe's run, with nothing loaded yet."""
        return RecipeRun(self, recipe)

    def planned(self, recipe: str) -> Sequence[Case]:
        """Return the cases that this process will be asked for under a recipe."""
        return self._planned.get(recipe, ())

    def post(self, message: Json) -> None:
        """Leave a message for the session."""
        self._outbox.append(message)

    def may_stop_early(self, recipe: str) -> bool:
        """Return whether a recipe may be left before all its cases are asked."""
        return self.decider is not None and recipe in self.settings.recipes

    def decide(self, recipe: str, benchmark: str) -> None:
        """See whether a candidate's gates on a benchmark are decided by now; leave it as a message when they are."""
        if self.decider is None or not self.may_stop_early(recipe) or self.is_scored(benchmark):
            return
        cases = [case for case in self.planned(recipe) if case.benchmark == benchmark]
        if any(case.perturbation for case in cases):
            return  # nominal answers are needed to the last, to set the perturbed ones beside them
        for decision in self.decider.decide(recipe, benchmark, cases, self.outcomes):
            self.post({"type": "decision", **decision})

    def drain(self) -> list[Json]:
        """Hand over the messages left since the last call."""
        messages, self._outbox = self._outbox, []
        return messages

    def close(self) -> None:
        """Stop the sandboxes; calling it twice is fine."""
        self._open.close()
