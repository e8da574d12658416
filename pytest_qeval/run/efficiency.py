"""The suite `efficiency`: recipes side by side, timed in turns while nothing else runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import monotonic

from pytest_qeval.engines.base import FailedCompletion, ModelEngine, Request
from pytest_qeval.errors import EngineError, QEvalError
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.measure.contention import Watch
from pytest_qeval.measure.energy import EnergyMeter, Window
from pytest_qeval.measure.machine import available_memory_bytes
from pytest_qeval.measure.rounds import LONGEST_S, MIN_ROUNDS, STREAM_ROUNDS, Rounds
from pytest_qeval.measure.shared_energy import BusyTimes
from pytest_qeval.measure.timing_facts import (
    WORKLOADS,
    BlockEnergyFacts,
    ProblemTime,
    ProblemTimingFacts,
    TimingFacts,
)
from pytest_qeval.records.messages import Message
from pytest_qeval.run.shared_machine import SharedMachine
from pytest_qeval.schema import Case, Completion

_PROBLEM_TOKENS = 64
"""New tokens of a whole problem at most, so that a model that never stops does not take minutes."""
_ROOM = 2
"""Another model is kept beside those that are open if so many times the largest of them is free: a checkpoint is loaded
before it is quantized."""


@dataclass(kw_only=True, eq=False)
class EfficiencyBench:
    """Keeps the engines of several recipes where memory allows, and one after the other where it does not."""

    load: Callable[[str], ModelEngine]
    make_evaluator: Callable[[str, ModelEngine], Evaluator]
    machine: SharedMachine
    post: Callable[[Message], None]
    meter: EnergyMeter | BusyTimes
    """Meters every block."""
    free_bytes: Callable[[], int] = available_memory_bytes
    rounds: Rounds = field(default_factory=Rounds)
    watch: Watch = field(default_factory=Watch)
    planned: list[tuple[str, str]] = field(default_factory=list)
    """Recipes and names of what is measured in this process, in order."""
    _engines: dict[str, ModelEngine] = field(default_factory=dict, init=False)
    _done: set[tuple[str, str]] = field(default_factory=set, init=False)

    def load_recipe(self, recipe: str) -> None:
        """Load and quantize a recipe, and the others beside it.

        Raises:
            QEvalError: when the recipe itself cannot be loaded.
        """
        self._open(recipe)

    def measure(self, recipe: str, name: str) -> None:
        """Time a workload of `WORKLOADS`, of all recipes that are open, and post it; once.

        Raises:
            NoRoomError: when it does not fit in the model's context.
            QEvalError: when the recipe cannot be loaded.
        """
        if (recipe, name) in self._done:
            return
        engines = self._engines_with(recipe, name)
        workload = WORKLOADS[name]
        windows: dict[str, list[Window]] = {one: [] for one in engines}
        rounds = replace(self.rounds, around=lambda one: self._metered(windows[one], name))
        with self.machine.alone():
            timers = {one: engine.prepare(workload) for one, engine in engines.items()}
            n_rounds = STREAM_ROUNDS if workload.kind == "decode" and workload.batch == 1 else MIN_ROUNDS
            found = rounds.measure(timers, n_rounds=n_rounds)
        for one, blocks in found.items():
            self.post(TimingFacts(recipe=one, workload=workload, beside=_others(engines, one), blocks=blocks))
            energies = tuple(window.energy for window in windows[one])
            if not any(energy.undefined for energy in energies):  # as in a worker, which meters nothing
                self.post(BlockEnergyFacts(recipe=one, workload=workload, energies=energies))
            self._done.add((one, name))

    @contextmanager
    def _metered(self, windows: list[Window], name: str) -> Iterator[None]:
        with self.meter.window(name) as window:
            yield
        windows.append(window)

    def measure_problems(self, recipe: str, name: str, cases: Sequence[Case]) -> None:
        """Time whole problems, each under all recipes that are open before the next one, and post them; once.

        Raises:
            QEvalError: when the recipe cannot be loaded, or a problem is longer than the model's context.
        """
        if (recipe, name) in self._done:
            return
        engines = self._engines_with(recipe, name)
        evaluators = {one: self.make_evaluator(one, engine) for one, engine in engines.items()}
        found: dict[str, list[ProblemTime]] = {one: [] for one in engines}
        with self.machine.alone():
            for one in engines:
                self._time_problem(one, evaluators, cases[0], "warm-up")
            started, disturbed = monotonic(), False
            for number, case in enumerate(cases):
                if disturbed and monotonic() - started > LONGEST_S:
                    break
                for one in [*engines] if number % 2 == 0 else [*engines][::-1]:
                    time = self._time_problem(one, evaluators, case, "first")
                    if time and time.contention.reason:
                        disturbed, time = True, self._time_problem(one, evaluators, case, "second")
                    found[one] += [time] if time else []
        for one, problems in found.items():
            self.post(ProblemTimingFacts(recipe=one, beside=_others(engines, one), problems=tuple(problems)))
            self._done.add((one, name))

    def _time_problem(
        self, recipe: str, evaluators: Mapping[str, Evaluator], case: Case, attempt: str
    ) -> ProblemTime | None:
        """Answer a problem alone; None where the engine tells no times."""
        evaluator, engine = evaluators[recipe], self._engines[recipe]
        asked = evaluator.request(case)
        limit = min(_PROBLEM_TOKENS, asked.max_new_tokens or _PROBLEM_TOKENS)
        request = replace(asked, key=f"{asked.key}:{attempt}", n_samples=1, max_new_tokens=limit)
        before = engine.progress.prompt_tokens
        self.watch.start()
        completion = _complete(engine, request)
        contention = self.watch.stop()
        if completion.ttft_s is None or completion.duration_s is None or not completion.n_tokens:
            return None
        more = completion.n_tokens - 1
        return ProblemTime(
            benchmark=case.benchmark,
            task_id=case.task_id,
            prompt_tokens=engine.progress.prompt_tokens - before,
            new_tokens=completion.n_tokens,
            ttft_s=completion.ttft_s,
            tpot_s=(completion.duration_s - completion.ttft_s) / more if more else None,
            solved=None if completion.finish_reason == "length" else evaluator.solves(case, completion),
            contention=contention,
        )

    def _engines_with(self, recipe: str, name: str) -> Mapping[str, ModelEngine]:
        """Return the recipe's engine, and those of the others that are measured in the same way."""
        self._open(recipe)
        return {one: engine for one, engine in self._engines.items() if one == recipe or (one, name) in self.planned}

    def _open(self, recipe: str) -> None:
        """Open a recipe, and beside it every later one of the plan that memory allows."""
        if recipe in self._engines:
            return
        self.close()
        self.machine.work()
        self.meter.prepare()  # which measures idle power
        self._engines[recipe] = self.load(recipe)
        names = list(dict.fromkeys(name for name, _ in self.planned))
        for other in names[names.index(recipe) + 1 :] if recipe in names else ():
            largest = max(int(engine.facts().get("model_bytes") or 0) for engine in self._engines.values())
            if self.free_bytes() < _ROOM * largest:
                break  # whoever is left is measured later, with those that come after it
            with suppress(QEvalError):  # told by the recipe's own test
                self._engines[other] = self.load(other)

    def close(self) -> None:
        """Free the models; calling it twice is fine."""
        for engine in self._engines.values():
            engine.close()
        self._engines = {}


def _complete(engine: ModelEngine, request: Request) -> Completion:
    engine.submit([request])
    while engine.progress.finished < engine.progress.total:
        for finished in engine.step():
            if isinstance(finished, FailedCompletion):
                raise EngineError(f"{request.task_id} has no completion: {finished.reason}")
            return finished.completion
    raise EngineError(f"the engine is idle, but {request.task_id} is not generated")


def _others(engines: Mapping[str, ModelEngine], recipe: str) -> tuple[str, ...]:
    return tuple(name for name in engines if name != recipe)
