"""Measurements of a recipe that generate no completions: one stream's speed, memory, sensitivity, divergence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.engines.base import BlockwiseSource, ModelEngine
from pytest_qeval.engines.fit.predict import predict
from pytest_qeval.engines.fit.read import shape_of
from pytest_qeval.engines.fresh_process import MemoryJob, measure_memory
from pytest_qeval.errors import EngineError
from pytest_qeval.facts import SensitivityFacts, StreamFacts
from pytest_qeval.measure.contention import Watch
from pytest_qeval.measure.divergence_facts import DivergenceFacts, divergence_facts
from pytest_qeval.measure.memory_facts import DecodingShape, MemoryFacts
from pytest_qeval.measure.rounds import Timer
from pytest_qeval.measure.timing_facts import WORKLOADS
from pytest_qeval.records.messages import Message
from pytest_qeval.run.baseline_scores import BaselineScorer
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.run.resumed import KeptFacts
from pytest_qeval.run.shared_machine import SharedMachine

_SENSITIVITY_PROBLEMS = 20
"""Whose solutions blocks are compared on, unless `--qeval-limit` says otherwise: about a thousand tokens."""
_BATCH_SIZE, _CONTEXT_TOKENS = 4, 512
"""What is decoded to measure memory, unless `--qeval-batch-size` says otherwise: seconds for half a billion parameters.
"""
_STREAM_ROUNDS, _STREAM_S = 6, 0.5
"""Rounds and seconds of a single stream at least."""


@dataclass(kw_only=True, eq=False)
class Measurements:
    """Measures one recipe after the other; everything that is found is posted."""

    settings: RunSettings
    benchmarks: BenchmarkLoader
    baseline_scores: BaselineScorer
    post: Callable[[Message], None]
    machine: SharedMachine
    watch: Watch = field(default_factory=Watch)
    kept: Mapping[tuple[type, str], KeptFacts] = field(default_factory=dict)
    """What a run that goes on has measured already, by kind and recipe."""

    def stream(self, recipe: str, load: Callable[[], ModelEngine]) -> StreamFacts:
        """Measure prefill and decoding of a single stream; once more if the machine was disturbed."""
        if isinstance(kept := self.kept.get((StreamFacts, recipe)), StreamFacts):
            return kept
        engine = load()
        prefill, decode = (engine.prepare(WORKLOADS[name]) for name in ("prefill-128", "decode-1"))
        with self.machine.alone():
            prefill(), decode()
            for _ in range(2):
                facts = self._time_stream(recipe, prefill, decode)
                if not facts.contended:
                    break
        self.post(facts)
        return facts

    def memory(self, name: str) -> MemoryFacts:
        """Load, quantize and decode in a process of its own, and predict the same."""
        if isinstance(kept := self.kept.get((MemoryFacts, name)), MemoryFacts):
            return kept
        settings, recipe, resolved = self.settings, self.settings.recipe(name), self.settings.resolved
        assert resolved is not None  # noqa: S101 - the fixture skips replays
        source, model = resolved.source_of(recipe), settings.model
        shape = shape_of(source)
        job = MemoryJob(
            source=source,
            recipe=recipe,
            shape=DecodingShape(batch_size=model.batch_size or _BATCH_SIZE, context_tokens=_CONTEXT_TOKENS),
            device=model.device,
            threads=model.threads,
            texts=settings.calibration_texts.get(recipe.name),
            files_bytes=shape.files_bytes,
        )
        facts = measure_memory(job)
        decoded = facts.shape
        predicted = predict(
            shape,
            recipe,
            budget_bytes=None,
            batch_size=decoded.batch_size,
            context_tokens=decoded.context_tokens,
        )
        facts = replace(facts, recipe=name, predicted=predicted)
        self.post(facts)
        if budget := settings.budgets.get(name):
            self.post(budget)
        return facts

    def _time_stream(self, recipe: str, prefill: Timer, decode: Timer) -> StreamFacts:
        workload = WORKLOADS["decode-1"]
        rounds: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
        self.watch.start()
        started = monotonic()
        while len(rounds) < _STREAM_ROUNDS or monotonic() - started < _STREAM_S:
            rounds.append((prefill(), decode()))
        return StreamFacts(
            recipe=recipe,
            prompt_tokens=workload.prompt_tokens,
            new_tokens=workload.new_tokens,
            prefill_s=tuple(seconds for first, _ in rounds for seconds in first),
            decode_s=tuple(seconds for _, rest in rounds for seconds in rest),
            contended=self.watch.stop().reason,
        )

    def sensitivity(self, name: str, benchmark: str) -> SensitivityFacts:
        """Quantize one block at a time, and compare on a benchmark's solutions; this loads a model of its own."""
        if isinstance(kept := self.kept.get((SensitivityFacts, name)), SensitivityFacts):
            return kept
        settings, recipe, resolved = self.settings, self.settings.recipe(name), self.settings.resolved
        assert resolved is not None  # noqa: S101 - the fixture skips replays
        source, engine = resolved.source_of(recipe), resolved.engine_of(recipe.name)
        if not isinstance(engine, BlockwiseSource):
            raise EngineError(f"{source.name} is run by {engine.name}: its blocks cannot be quantized one at a time.")
        self.machine.work()
        solutions = self.benchmarks.first_solutions(benchmark, settings.limit or _SENSITIVITY_PROBLEMS)
        facts = engine.sensitivity(
            source,
            recipe,
            [(solution.prompt, solution.solution) for solution in solutions],
            model=settings.model,
            texts=settings.calibration_texts.get(recipe.name),
        )
        facts = replace(facts, recipe=name)
        self.post(facts)
        return facts

    def divergence(self, name: str, benchmark: str, engine: Callable[[], ModelEngine]) -> DivergenceFacts | None:
        """Compare a recipe with the baseline on a benchmark's solutions.

        None where there is nothing to compare: of the baseline only the log-probabilities are taken, if they are not
        known yet. The control is the baseline again: its divergence is what the device's arithmetic alone does.
        """
        kept = self.kept.get((DivergenceFacts, name))
        if isinstance(kept, DivergenceFacts) and kept.benchmark == benchmark:
            return kept
        self.machine.work()
        settings = self.settings
        if name == (settings.baseline or settings.candidates[0]):
            self.baseline_scores.of(benchmark, engine())
            return None
        if settings.baseline is None:
            return None
        baseline = self.baseline_scores.of(benchmark)
        facts = divergence_facts(
            baseline,
            engine().score(self.benchmarks.solutions(benchmark), against=baseline),
            recipe=name,
            baseline_recipe=settings.baseline,
            benchmark=benchmark,
            texts="solutions" if settings.divergence_texts is None else "completions",
        )
        self.post(facts)
        return facts
