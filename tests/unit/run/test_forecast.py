"""When everything will be done: the recipe at work, programs, and recipes to come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_qeval.evaluator import Executions
from pytest_qeval.run.forecast import Forecast
from pytest_qeval.schema import EngineProgress
from pytest_qeval.stats.forecast import StepCosts, WorkLeft
from tests.unit.summary.builders import case

CASES = [case(number) for number in range(8)]


class FakeEngine:
    """Reads 8 prompts of 10 tokens, one second each; one is read, and its completion finished at once."""

    def __init__(self, *, replays: bool = False) -> None:
        self.replays = replays
        self.progress = EngineProgress(finished=1, total=8, new_tokens=1, prompt_tokens=10, busy_s=1.0)

    def work_left(self) -> WorkLeft | None:
        if self.replays:
            return None
        return WorkLeft(
            prompt_tokens=10,
            prefill_s=1.0,
            waiting_prompt_tokens=70,
            waiting=0,
            live=[],
            ended=[1],
            limit=1,
            rows=8,
            steps=StepCosts(),
        )


def left_s(
    *, recipes: int = 1, executed: list[float] | None = None, elapsed_s: float = 1.0, replays: bool = False
) -> float:
    now = [0.0]
    planned = dict.fromkeys(("auto", "int8", "w4a16")[:recipes], CASES)
    forecast = Forecast(planned=planned, sandboxes=2, clock=lambda: now[0])
    forecast.begin("auto", load_s=5.0)
    now[0] = elapsed_s
    executions = Executions()
    executions.durations_s += executed or []
    engine: Any = FakeEngine(replays=replays)
    found = forecast.progress("auto", engine, executions)
    assert found.left_s is not None
    return found.left_s


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (7.0, left_s()),
        (7.0 + 0.5, left_s(executed=[0.5])),
        ((8 - 1) * 20 / 2, left_s(executed=[20.0])),
        (7.0 + 2 * (5 + 8), left_s(recipes=3)),
        ((8 - 2) * 2 / 2, left_s(executed=[1.0, 3.0], replays=True)),
    ],
    ids=["engine", "last program", "programs take longer", "recipes to come", "a replay"],
)
def test_everything_that_is_left_counts(expected: float, found: float) -> None:
    assert found == pytest.approx(expected)


def test_time_that_passes_beside_the_engine_goes_on() -> None:
    """From the first look on: starting the sandboxes happens once."""
    now = [0.0]
    forecast = Forecast(planned={"auto": CASES}, sandboxes=1, clock=lambda: now[0])
    forecast.begin("auto", load_s=1.0)
    engine: Any = FakeEngine()
    found = []
    for at, busy_s in ((60.0, 1.0), (63.0, 2.0), (80.0, 11.0)):
        now[0], engine.progress = at, replace(engine.progress, busy_s=busy_s)
        found.append(forecast.progress("auto", engine, Executions()).left_s)

    assert found == pytest.approx([7.0, 7.0, 14.0])


def test_solutions_are_the_first_guess_of_lengths() -> None:
    """Before anything has ended: short solutions, short completions."""

    def left_with(characters: int) -> float:
        forecast = Forecast(planned={"auto": CASES}, sandboxes=1, solution=lambda _: "x" * characters)
        forecast.begin("auto", load_s=1.0)
        engine: Any = FakeEngine()
        work = replace(engine.work_left(), live=[0] * 8, ended=[], limit=512)
        engine.work_left = lambda: work
        return forecast.progress("auto", engine, Executions()).left_s or 0.0

    assert left_with(25) < left_with(250) < left_with(2500)
    assert left_with(0) == pytest.approx(left_with(320), rel=0.01)


def test_the_saved_baselines_lengths_are_a_better_guess() -> None:
    """Before anything has ended; afterwards those of the recipe before are nearer."""

    def left_with(*lengths: int, before: bool = False) -> float:
        forecast = Forecast(planned={"auto": CASES}, sandboxes=1, lengths=lambda _: lengths)
        engine: Any = FakeEngine()
        work = replace(engine.work_left(), live=[0] * 8, ended=[], limit=512)
        engine.work_left = lambda: work
        if before:
            ended = replace(work, ended=[200] * 8)
            engine.work_left = lambda: ended
            forecast.end(engine)
            engine.work_left = lambda: work
        forecast.begin("auto", load_s=1.0)
        return forecast.progress("auto", engine, Executions()).left_s or 0.0

    assert left_with(20) < left_with(200) < left_with(500)
    assert left_with(20, before=True) == left_with(500, before=True) == pytest.approx(left_with(200))


def test_a_recipe_that_was_loaded_does_not_come_again() -> None:
    forecast = Forecast(planned={"auto": CASES, "int8": CASES}, sandboxes=1)
    engine: Any = FakeEngine()
    forecast.begin("auto", load_s=1.0)
    assert forecast.progress("auto", engine, Executions()).coming == ("int8",)
    forecast.end(engine)
    forecast.begin("int8", load_s=1.0)
    assert forecast.progress("int8", engine, Executions()).coming == ()
