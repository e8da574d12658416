"""What one process works with: benchmarks, sandboxes, the meter, and one loaded recipe at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.engines.base import EngineProgress, EngineSource, ModelEngine
from pytest_qeval.engines.replay import ReplayEngine, read_samples
from pytest_qeval.errors import UsageError
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.measure.energy import EnergyMeter
from pytest_qeval.measure.memory import PeakMemory
from pytest_qeval.plan import cases_of
from pytest_qeval.quantize.catalogue import find_recipe
from pytest_qeval.results import EnergyFacts, GenerationFacts, RecipeFacts, Role, StreamFacts
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.settings import Settings

__all__ = ["RecipeRun", "Runtime"]

OnProgress = Callable[[str, EngineProgress], None]


class Runtime:
    """Opens what is needed when it is needed first, and closes everything at the end.

    What others have to know leaves as messages (see `Session`) through `drain`.
    """

    def __init__(self, settings: Settings, *, worker: str, n_workers: int, on_progress: OnProgress) -> None:
        """Take the settings; `worker` names this process, `n_workers` says how many share the machine."""
        self.settings = settings
        self.worker = worker
        self.on_progress = on_progress
        shared = f"{n_workers} workers share the machine, whose energy cannot be told apart" if n_workers > 1 else ""
        self.meter = EnergyMeter(unavailable=shared)
        self.outcomes: dict[tuple[str, Case], Record] = {}
        self._benchmarks: dict[str, Benchmark] = {}
        self._planned: dict[str, list[Case]] = {}
        self._outbox: list[Json] = []
        self._pool: SandboxPool | None = None
        self._samples: Mapping[str, Sequence[str]] | None = None

    @property
    def pool(self) -> SandboxPool:
        """The sandboxes, started on first use."""
        if self._pool is None:
            self._pool = SandboxPool(self.settings.execution)
        return self._pool

    @property
    def samples(self) -> Mapping[str, Sequence[str]] | None:
        """The completions to replay, or None when a model answers.

        Raises:
            DataError: when the file cannot be read.
        """
        if self._samples is None and self.settings.completions:
            self._samples = read_samples(self.settings.completions)
        return self._samples

    @property
    def benchmarks(self) -> Sequence[Benchmark]:
        """The benchmarks that have been read so far."""
        return list(self._benchmarks.values())

    def benchmark(self, name: str) -> Benchmark:
        """Read a benchmark once.

        Raises:
            UnknownNameError: when there is none of that name.
            DataError: when its data cannot be read.
        """
        if name not in self._benchmarks:
            source: BenchmarkSource = registry.load("benchmarks", name)
            benchmark = source.load(self.settings.data)
            self._benchmarks[name] = benchmark
            facts = {"version": benchmark.version, "sha256": benchmark.sha256, "problems": len(benchmark.problems)}
            self.post({"type": "benchmark", "name": name, **facts})
        return self._benchmarks[name]

    def cases(self, benchmark: str) -> tuple[Case, ...]:
        """Give the cases of a benchmark that this run asks.

        Raises:
            UsageError: when none is left, such as for samples of another benchmark.
        """
        cases = cases_of(self.benchmark(benchmark), limit=self.settings.limit, tasks=self.samples)
        if not cases:
            raise UsageError(f"{self.settings.completions} holds no completion of a {benchmark} problem.")
        return cases

    def plan(self, planned: Sequence[tuple[str, Case]]) -> None:
        """Take the cases that this process will be asked for, to generate them ahead."""
        for recipe, case in planned:
            self._planned.setdefault(recipe, []).append(case)

    def open(self, recipe: str) -> RecipeRun:
        """Load a recipe and queue its planned cases."""
        run = RecipeRun(self, recipe)
        run.evaluator.submit(self._planned.get(recipe, ()))
        return run

    def post(self, message: Json) -> None:
        """Leave a message for the session."""
        self._outbox.append(message)

    def drain(self) -> list[Json]:
        """Hand over the messages left since the last call."""
        messages, self._outbox = self._outbox, []
        return messages

    def close(self) -> None:
        """Stop the sandboxes; calling it twice is fine."""
        if self._pool is not None:
            self._pool.close()


class RecipeRun:
    """A recipe while it is loaded: its engine, and what its generation costs."""

    def __init__(self, runtime: Runtime, recipe: str) -> None:
        """Load and quantize the model, or read the samples."""
        self.recipe = recipe
        self._runtime = runtime
        self._memory = PeakMemory()
        self.engine = self._load()
        self._metering = False
        self._energy: list[EnergyFacts] = []
        self.evaluator = Evaluator(
            recipe=recipe,
            engine=self.engine,
            executor=runtime.pool,
            benchmark=runtime.benchmark,
            n_samples=self._n_samples,
            seed=runtime.settings.generation.seed,
            worker=runtime.worker,
            on_progress=lambda progress: runtime.on_progress(recipe, progress),
        )

    def _load(self) -> ReplayEngine | ModelEngine:
        settings = self._runtime.settings
        role: Role = "baseline" if self.recipe == settings.baseline else "candidate"
        if self._runtime.samples is not None:
            facts = RecipeFacts(name=self.recipe, role=role, summary="completions from a samples file")
            self._runtime.post({"type": "recipe", **asdict(facts)})
            return ReplayEngine(self._runtime.samples)
        recipe = find_recipe(settings.recipe_files.get(self.recipe, self.recipe))
        source: EngineSource = registry.load("engines", settings.model.engine)
        engine = source.open(settings, recipe, settings.model_of(self.recipe))
        facts = RecipeFacts(name=self.recipe, role=role, **{**recipe.to_dict(), **engine.facts()})
        self._runtime.post({"type": "recipe", **asdict(facts)})
        return engine

    @property
    def replays(self) -> bool:
        """Whether completions are read from a file, so that there is no speed to measure."""
        return isinstance(self.engine, ReplayEngine)

    def _n_samples(self, case: Case) -> int:
        samples = self._runtime.samples
        return self._runtime.settings.generation.n_samples if samples is None else len(samples[case.task_id])

    def evaluate(self, case: Case) -> Record:
        """Give the record of one case, and leave it as a message."""
        self._meter()
        record = self.evaluator.evaluate(case)
        self._meter()
        self._runtime.outcomes[self.recipe, case] = record
        self._runtime.post(record.to_dict())
        return record

    def measure_stream(self) -> StreamFacts:
        """Measure a single stream of this recipe, and leave the times as a message."""
        assert not isinstance(self.engine, ReplayEngine)  # noqa: S101 - the fixture skips such a test
        facts = StreamFacts(recipe=self.recipe, **asdict(self.engine.measure_stream()))
        self._runtime.post({"type": "stream", **asdict(facts)})
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
        """Give the model's memory back and leave what generating cost as a message."""
        progress = self.engine.progress
        if self._metering:
            self._energy.append(self._runtime.meter.stop())
        self.engine.close()
        if isinstance(self.engine, ReplayEngine):
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
