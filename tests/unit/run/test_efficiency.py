"""Recipes side by side where memory allows: which engines are open, what is posted, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_qeval.engines.base import FinishedCompletion, Request
from pytest_qeval.errors import EngineError, RecipeError
from pytest_qeval.facts import EnergyFacts
from pytest_qeval.measure.energy import Window
from pytest_qeval.measure.rounds import Rounds
from pytest_qeval.measure.timing_facts import BlockEnergyFacts, ProblemTimingFacts, TimingFacts, Workload
from pytest_qeval.records.messages import Message
from pytest_qeval.run.efficiency import EfficiencyBench
from pytest_qeval.run.shared_machine import SharedMachine
from pytest_qeval.schema import Case, Completion, EngineProgress
from tests.unit.measure.timings import QuietWatch
from tests.unit.summary.builders import case

GB = 10**9
CASES = [case(number) for number in range(3)]


class FakeEngine:
    """A model of 1 GB that answers at once."""

    def __init__(self, name: str, events: list[str], *, finish_reason: str = "stop", silent: bool = False) -> None:
        self.name, self.events, self.reason, self.silent = name, events, finish_reason, silent
        self.waiting: list[Request] = []
        self.asked: list[Request] = []

    def facts(self) -> dict[str, Any]:
        return {"model_bytes": GB}

    def prepare(self, workload: Workload) -> Callable[[], tuple[float, ...]]:
        return lambda: (0.1,) * workload.new_tokens

    def submit(self, requests: Sequence[Request]) -> None:
        self.waiting += [] if self.silent else requests
        self.asked += requests

    def step(self) -> Sequence[FinishedCompletion]:
        request = self.waiting.pop()
        self.events.append(f"{self.name}:{request.task_id}")
        reason: Any = self.reason
        completion = Completion(text="x", n_tokens=11, finish_reason=reason, ttft_s=0.1, duration_s=1.1)
        return [FinishedCompletion(key=request.key, index=0, completion=completion)]

    @property
    def progress(self) -> EngineProgress:
        total = len(self.asked) if not self.silent else 0
        return EngineProgress(
            finished=total - len(self.waiting), total=total, new_tokens=0, prompt_tokens=7 * total, busy_s=0.0
        )

    def close(self) -> None:
        self.events.append(f"close {self.name}")


class FakeEvaluator:
    """Asks for a case by its id; everything is solved."""

    def request(self, asked: Case) -> Request:
        return Request(key=asked.task_id, prompt="p", task_id=asked.task_id, n_samples=5, max_new_tokens=400)

    def solves(self, _case: Case, _completion: Completion) -> bool:
        return True


class FakeMeter:
    """Uses one more watt-hour in every window; or meters nothing, as in a worker."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.windows, self.undefined = parts, 0, ""

    def prepare(self) -> None:
        assert not any(event.startswith("load") for event in self.parts.events) or self.windows

    @contextmanager
    def window(self, phase: str) -> Iterator[Window]:
        window = Window(phase)
        yield window
        self.windows += 1
        used = EnergyFacts(energy_wh=float(self.windows), provenance="measured")
        window.energy = EnergyFacts(undefined=self.undefined) if self.undefined else used


class Parts:
    """A bench whose engines are fakes, and what happened."""

    def __init__(
        self, *, names: Sequence[str] = ("auto", "int8"), free: int = 2 * GB, busy: Sequence[bool] = (), **engine: Any
    ) -> None:
        self.events: list[str] = []
        self.messages: list[Message] = []
        self.broken: set[str] = set()
        self.engine = engine
        evaluator: Any = FakeEvaluator()
        self.meter = FakeMeter(self)
        meter: Any = self.meter
        now = iter(range(10**6))
        self.bench = EfficiencyBench(
            load=self.load,
            make_evaluator=lambda _recipe, _engine: evaluator,
            machine=SharedMachine(None, settle=lambda: None),
            post=self.messages.append,
            meter=meter,
            free_bytes=lambda: free,
            rounds=Rounds(clock=lambda: next(now), watch=QuietWatch()),
            watch=QuietWatch(busy),
            planned=[(name, workload) for name in names for workload in ("decode-1", "problems")],
        )

    def load(self, name: str) -> Any:
        if name in self.broken:
            raise RecipeError(f"{name} is broken")
        self.events.append(f"load {name}")
        return FakeEngine(name, self.events, **self.engine)

    def timed(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(one.recipe, one.beside) for one in self.messages if isinstance(one, TimingFacts)]


def test_recipes_that_fit_are_measured_together() -> None:
    """With the first recipe's test; the other's finds its own already posted."""
    parts = Parts()
    for name in ("auto", "int8"):
        parts.bench.measure(name, "decode-1")

    assert parts.events == ["load auto", "load int8"]
    assert parts.timed() == [("auto", ("int8",)), ("int8", ("auto",))]


def test_every_block_is_metered() -> None:
    """In turns, as it is timed; the warm-up is not."""
    parts = Parts()
    parts.bench.measure("auto", "decode-1")
    found = {one.recipe: one.energies for one in parts.messages if isinstance(one, BlockEnergyFacts)}

    assert [energy.energy_wh for energy in found["auto"]] == [1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24]
    assert [energy.energy_wh for energy in found["int8"]] == [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23]


def test_a_worker_that_meters_nothing_posts_no_energy() -> None:
    parts = Parts()
    parts.meter.undefined = "the machine was not metered"
    parts.bench.measure("auto", "decode-1")

    assert not any(isinstance(one, BlockEnergyFacts) for one in parts.messages)


def test_recipes_that_do_not_fit_are_measured_one_after_the_other() -> None:
    """Another model is loaded only where twice the largest one is free."""
    parts = Parts(free=2 * GB - 1)
    for name in ("auto", "int8"):
        parts.bench.measure(name, "decode-1")
    parts.bench.close()

    assert parts.events == ["load auto", "close auto", "load int8", "close int8"]
    assert parts.timed() == [("auto", ()), ("int8", ())]


def test_a_recipe_that_cannot_be_loaded_fails_in_its_own_test_only() -> None:
    parts = Parts(names=("auto", "int8", "int4"))
    parts.broken = {"int8"}
    parts.bench.measure("auto", "decode-1")

    assert parts.timed() == [("auto", ("int4",)), ("int4", ("auto",))]
    with pytest.raises(RecipeError):
        parts.bench.load_recipe("int8")


def test_only_what_is_planned_is_measured() -> None:
    """As with `-k`: of a recipe whose test is not selected nothing is measured."""
    parts = Parts()
    parts.bench.planned.remove(("int8", "decode-1"))
    parts.bench.measure("auto", "decode-1")

    assert parts.timed() == [("auto", ())]


def test_problems_alternate_and_the_order_turns() -> None:
    """After one to warm up; one sample each, of at most 64 tokens."""
    parts = Parts()
    parts.bench.measure_problems("auto", "problems", CASES)
    parts.bench.measure_problems("int8", "problems", CASES)

    answered = [event for event in parts.events if ":" in event]
    ids = [one.task_id for one in CASES]
    expected = [(0, "auto"), (0, "int8"), (0, "auto"), (0, "int8"), (1, "int8"), (1, "auto"), (2, "auto"), (2, "int8")]
    assert answered == [f"{name}:{ids[number]}" for number, name in expected]
    first = next(one for one in parts.messages if isinstance(one, ProblemTimingFacts))
    assert [(one.task_id, one.prompt_tokens, one.solved) for one in first.problems] == [(one, 7, True) for one in ids]
    assert [one.tpot_s for one in first.problems] == pytest.approx([0.1] * 3)


def test_a_disturbed_problem_is_answered_again() -> None:
    """Once; the second answer counts, whatever the machine does then."""
    parts = Parts(names=("auto",), busy=[False, True, False, False, True, True])
    parts.bench.measure_problems("auto", "problems", CASES)

    (found,) = (one for one in parts.messages if isinstance(one, ProblemTimingFacts))
    assert [bool(one.contention.reason) for one in found.problems] == [False, False, True]
    assert len([event for event in parts.events if ":" in event]) == 1 + 3 + 2


def test_a_completion_that_was_cut_off_is_neither_solved_nor_unsolved() -> None:
    parts = Parts(names=("auto",), finish_reason="length")
    parts.bench.measure_problems("auto", "problems", CASES)

    (found,) = (one for one in parts.messages if isinstance(one, ProblemTimingFacts))
    assert [one.solved for one in found.problems] == [None] * 3


def test_an_engine_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(EngineError, match="is idle"):
        Parts(names=("auto",), silent=True).bench.measure_problems("auto", "problems", CASES)
