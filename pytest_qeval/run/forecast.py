"""When a process will be done: the recipe at work by its engine's workload, and the recipes to come by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_qeval.engines.base import Engine
from pytest_qeval.evaluator import Executions
from pytest_qeval.report.progress import RunProgress
from pytest_qeval.schema import Case
from pytest_qeval.stats.forecast import PRIOR_TOKENS, remaining_s

_SOLUTIONS = 50
"""Solutions whose lengths are averaged."""
_LEAST_S = 5.0
"""Of the engine, before what passes beside its steps can be told from its start."""
_CHARACTERS = 2.5
"""Characters of a solution for each token of a completion: code has about 3.5 a token, and models write more."""


@dataclass(kw_only=True, eq=False)
class Forecast:
    """Knows what the recipes so far have taken; nothing is computed before somebody asks."""

    planned: Mapping[str, Sequence[Case]]
    """The cases of this process by recipe, in the order in which recipes run."""
    sandboxes: int
    """Programs that are executed at a time."""
    solution: Callable[[Case], str] = lambda _: ""
    """Returns the known solution of a case, whose length is a first guess of a completion's."""
    lengths: Callable[[Case], Sequence[int]] = lambda _: ()
    """Returns the tokens of the saved baseline's completions of a case, as far as there is one: a better guess."""
    clock: Callable[[], float] = time.monotonic
    _loads_s: dict[str, float] = field(default_factory=dict, init=False)
    _lengths: list[int] = field(default_factory=list, init=False)
    _since: float = field(default=0.0, init=False)
    _first: tuple[float, float] | None = field(default=None, init=False)
    """Time and seconds of the engine when progress was first asked for."""
    _prior_tokens: float = field(default=PRIOR_TOKENS, init=False)

    def begin(self, recipe: str, *, load_s: float) -> None:
        """Note that a recipe is loaded, and how long that took."""
        self._loads_s[recipe] = load_s
        solutions = [len(self.solution(case)) for case in self.planned.get(recipe, ())[:_SOLUTIONS]]
        characters = sum(solutions) / len(solutions) if solutions else 0.0
        self._prior_tokens = characters / _CHARACTERS or PRIOR_TOKENS
        if not self._lengths:
            self._lengths = [length for case in self.planned.get(recipe, ()) for length in self.lengths(case)]
        self._since = self.clock()
        self._first = None

    def end(self, engine: Engine) -> None:
        """Keep the lengths of a recipe's completions: those of the next one will be alike."""
        work = engine.work_left()
        self._lengths = list(work.ended) if work else []

    def progress(self, recipe: str, engine: Engine, executions: Executions) -> RunProgress:
        """Return how far a recipe is, and how long everything will take."""
        done = engine.progress
        left_s = self._recipe_s(recipe, engine, executions)
        coming = [name for name in self.planned if name not in self._loads_s and self.planned[name]]
        if left_s is not None and coming:
            whole_s = self.clock() - self._since + left_s
            load_s = sum(self._loads_s.values()) / len(self._loads_s) if self._loads_s else 0.0
            own = len(self.planned.get(recipe, ())) or 1
            left_s += sum(load_s + whole_s * len(self.planned[name]) / own for name in coming)
        return RunProgress(
            recipe=recipe,
            finished=done.finished,
            total=done.total,
            tokens_per_s=done.new_tokens / done.busy_s if done.busy_s and done.new_tokens else None,
            left_s=left_s,
            coming=tuple(coming),
        )

    def _beside(self, busy_s: float) -> float:
        """Return how many times as long as the engine's steps everything takes, pytest's own part included."""
        now = self.clock()
        if self._first is None:
            self._first = now, busy_s
        steps_s = busy_s - self._first[1]
        return max(1.0, (now - self._first[0]) / steps_s) if steps_s > _LEAST_S else 1.0

    def _recipe_s(self, recipe: str, engine: Engine, executions: Executions) -> float | None:
        """Return the seconds of the recipe at work: generating, or executing where that takes longer."""
        done, work = engine.progress, engine.work_left()
        generating_s = remaining_s(work, known_lengths=self._lengths, prior_tokens=self._prior_tokens) if work else 0.0
        if generating_s is None:
            return None
        generating_s *= self._beside(done.busy_s)
        samples = max(done.total, len(self.planned.get(recipe, ())))
        if done.total:  # cases that are queued later, in portions
            generating_s += (samples - done.total) * (done.busy_s + generating_s) / done.total
        executed = list(executions.durations_s)
        mean_s = sum(executed) / len(executed) if executed else 0.0
        return max(generating_s + mean_s, (samples - len(executed)) * mean_s / self.sandboxes)
