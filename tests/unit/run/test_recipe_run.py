"""One recipe under evaluation: loaded once, metered while it generates, its records posted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qeval.errors import InvalidProblemError, QEvalError
from pytest_qeval.evaluator import Executions
from pytest_qeval.facts import EnergyFacts, GenerationFacts
from pytest_qeval.measure.timeline import Timeline
from pytest_qeval.measure.timing_facts import Contention
from pytest_qeval.run.forecast import Forecast
from pytest_qeval.run.recipe_run import RecipeRun
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.settings import CONTROL
from tests.unit.measure.timings import BUSY, QUIET
from tests.unit.summary.builders import case, record

CASES = [case(number) for number in range(8)]


class Parts:
    """Every collaborator of a recipe's run in one: each finished case finishes the engine a little."""

    busy_s, new_tokens, prompt_tokens = 1.5, 40, 20

    def __init__(
        self,
        recipe: str = "int8",
        *,
        failure: BaseException | None = None,
        no_sandbox: QEvalError | None = None,
        portions: bool = False,
        reused: Mapping[Case, Record] | None = None,
    ) -> None:
        self.failure, self.no_sandbox, self.portions = failure, no_sandbox, portions
        self.loads, self.closed = 0, False
        self.checked: list[Case] = []
        self.submitted: list[Case] = []
        self.metered: list[str] = []
        self.decided: list[tuple[str, str]] = []
        self.posted: list[Any] = []
        self.faults: dict[Case, str] = {}
        self.outcomes: dict[tuple[str, Case], Record] = {}
        self.finished, self.total = 0, 0
        self.busy_machine = False
        self.prepared = self.polled = 0
        self.prefill_s = self.decode_s = 0.0
        self.timeline = Timeline()
        self.forecast = Forecast(planned={recipe: CASES}, sandboxes=1)
        self.executions = Executions()
        self.shown: list[tuple[int, bool]] = []
        parts: Any = self
        self.run = RecipeRun(
            recipe=recipe,
            planned=CASES,
            load_engine=self.load,
            make_evaluator=self.make_evaluator,
            problems=parts,
            outcomes=self.outcomes,
            reused=reused or {},
            early_stop=parts,
            meter=parts,
            timeline=self.timeline,
            forecast=self.forecast,
            on_progress=lambda progress, /, *, done: self.shown.append((progress().finished, done)),
            worker="gw0",
            post=self.posted.append,
            watch=parts.watched(),
        )

    def load(self, _recipe: str) -> Any:
        self.loads += 1
        if self.failure:
            raise self.failure
        return self

    def make_evaluator(self, _recipe: str, _engine: Any, on_step: Callable[[], None]) -> Any:
        self.on_step = on_step
        if self.no_sandbox:
            raise self.no_sandbox
        return self

    @property
    def progress(self) -> Parts:
        return copy(self)

    def close(self) -> None:
        self.closed = True

    def submit(self, cases: Iterable[Case]) -> None:
        new = [one for one in cases if one not in self.submitted]
        self.submitted += new
        self.total += len(new)

    def evaluate(self, asked: Case) -> Record:
        self.finished += 1
        self.decode_s += 0.25
        self.on_step()
        return record(self.run.recipe, CASES.index(asked), "+")

    def check_ahead(self, cases: Sequence[Case]) -> None:
        self.checked += cases

    def fault_of(self, asked: Case) -> str:
        return self.faults.get(asked, "")

    def prompt_diff_of(self, asked: Case) -> str:
        return f"diff of {asked.task_id}"

    def applies_to(self, _recipe: str) -> bool:
        return self.portions

    def decide(self, recipe: str, benchmark: str) -> None:
        self.decided.append((recipe, benchmark))

    def prepare(self) -> None:
        assert not self.loads or self.prepared  # idle power is that of a machine without a model
        self.prepared += 1

    def watched(self) -> Any:
        """Return a watch that finds a busy machine, or a quiet one."""
        return SimpleNamespace(
            start=lambda: self.metered.append("watch"), stop=lambda: BUSY if self.busy_machine else QUIET
        )

    def poll(self) -> None:
        self.polled += 1

    def facts(self) -> Json:
        """Fewer samples at a time than at first, as where memory ran out."""
        return {"batch_size": 4}

    def work_left(self) -> None:
        pass

    def start(self, recipe: str) -> None:
        self.metered.append(f"start {recipe}")

    def stop(self) -> EnergyFacts:
        self.metered.append("stop")
        return EnergyFacts(energy_wh=0.25, emissions_g=0.1, provenance="estimated", method="a model")


def test_nothing_is_loaded_before_it_is_needed() -> None:
    """And nothing is to be closed or reported then."""
    parts = Parts()
    parts.run.close()

    assert (parts.loads, parts.closed, parts.posted) == (0, False, [])


def test_a_model_that_cannot_be_loaded_is_tried_once() -> None:
    """Every test of the recipe fails with the same reason."""
    parts = Parts(failure=QEvalError("too large"))

    for _ in range(2):
        with pytest.raises(QEvalError, match="too large"):
            parts.run.load()
    assert parts.loads == 1


def test_a_model_is_closed_when_its_completions_cannot_be_judged() -> None:
    """The sandboxes may not start; the next recipe needs the memory."""
    parts = Parts(no_sandbox=QEvalError("no sandbox"))

    for _ in range(2):
        with pytest.raises(QEvalError, match="no sandbox"):
            parts.run.load()
    assert (parts.loads, parts.closed) == (1, True)


def test_a_load_that_is_interrupted_is_not_begun_again() -> None:
    """By a test's timeout, for one, which is no `Exception`: every other test would begin from the start."""
    interruption = pytest.fail.Exception("Timeout (>1.0s)")
    parts = Parts(failure=interruption)

    for _ in range(2):
        with pytest.raises(pytest.fail.Exception, match="Timeout"):
            parts.run.load()
    assert parts.loads == 1


@pytest.mark.parametrize(("recipe", "expected"), [("int8", CASES), (CONTROL, CASES[::-1])])
def test_the_planned_cases_are_queued_at_once(recipe: str, expected: list[Case]) -> None:
    """In the planned order; the control runs them the other way round."""
    parts = Parts(recipe)
    parts.run.load()
    parts.run.load()

    assert (parts.loads, parts.submitted, parts.checked) == (1, expected, CASES)


def test_a_record_is_kept_and_posted() -> None:
    """With the difference of its prompt; then the gates are looked at."""
    parts = Parts()
    found = parts.run.evaluate(CASES[2])

    assert found.prompt_diff == "diff of micro/2"
    assert parts.outcomes == {("int8", CASES[2]): found}
    assert len(parts.posted) == 1
    assert parts.decided == [("int8", "micro")]


def test_an_invalid_problem_has_no_record() -> None:
    """Its own solution does not pass, so a completion says nothing: none is generated, and no model loaded for it."""
    parts = Parts()
    parts.faults[CASES[0]] = "its own solution does not pass"

    assert not parts.run.needs_model(CASES[0])
    with pytest.raises(InvalidProblemError, match="its own solution"):
        parts.run.evaluate(CASES[0])
    assert (parts.outcomes, parts.posted, parts.loads) == ({}, [], 0)
    parts.run.evaluate(CASES[1])
    assert parts.submitted == CASES[1:]


def test_a_recipe_that_may_end_early_generates_no_invalid_problem() -> None:
    """In no portion."""
    parts = Parts(portions=True)
    parts.faults = dict.fromkeys(CASES[2:], "its own solution does not pass")
    parts.run.evaluate(CASES[0])
    parts.run.evaluate(CASES[1])

    assert parts.submitted == CASES[:2]


def test_a_saved_record_needs_no_model_and_is_not_posted_again() -> None:
    """The session has it already, with what it cost then."""
    saved = record("int8", 3, "-")
    parts = Parts(reused={CASES[3]: saved})

    assert not parts.run.needs_model(CASES[3])
    assert parts.run.evaluate(CASES[3]) is saved
    assert (parts.loads, parts.posted, parts.outcomes) == (0, [], {("int8", CASES[3]): saved})


def test_energy_is_measured_only_while_there_is_something_to_generate() -> None:
    """Loading, executing and closing do not count."""
    parts = Parts()
    for asked in CASES[:-1]:
        parts.run.evaluate(asked)
    assert parts.metered == ["start int8", "watch"]
    parts.run.evaluate(CASES[-1])

    assert parts.metered == ["start int8", "watch", "stop"]


@pytest.mark.parametrize("evaluated", [3, 8])
def test_what_generating_cost_is_posted_at_the_end(evaluated: int) -> None:
    """Also of a recipe that was left early."""
    parts = Parts()
    for asked in CASES[:evaluated]:
        parts.run.evaluate(asked)
    parts.posted.clear()
    parts.run.close()

    assert parts.closed
    assert parts.metered == ["start int8", "watch", "stop"]
    timeline, generation = parts.posted
    assert timeline.phases.keys() == {"loading", "decode"}
    assert timeline.cases == evaluated
    assert generation.decode_s == 0.25 * evaluated
    assert generation.batch_size == 4


@pytest.mark.parametrize("found", [BUSY, QUIET], ids=["busy", "quiet"])
def test_a_busy_machine_is_told_with_the_costs_of_generating(found: Contention) -> None:
    parts = Parts()
    parts.busy_machine = found is BUSY
    for asked in CASES:
        parts.run.evaluate(asked)
    parts.run.close()

    assert parts.posted[-1].contended == found.reason


def test_every_step_is_shown_and_the_last_one_as_done() -> None:
    parts = Parts()
    for asked in CASES:
        parts.run.evaluate(asked)

    assert parts.shown == [(number, number == 8) for number in range(1, 9)]
    assert (parts.prepared, parts.polled) == (1, 8)


def test_a_recipe_that_may_end_early_is_queued_in_portions() -> None:
    """No further than the next look at the evidence; a case outside of the plan is queued alone."""
    parts = Parts(portions=True)
    parts.run.load()
    assert parts.submitted == []
    parts.run.evaluate(CASES[0])

    assert CASES[0] in parts.submitted
    assert len(parts.submitted) < len(CASES)
    assert parts.submitted == CASES[: len(parts.submitted)]


def test_a_closed_model_is_loaded_again_and_has_new_costs() -> None:
    """As where something else is measured between two cases of a recipe."""
    parts = Parts()
    for one in CASES[:2]:
        parts.run.evaluate(one)
        parts.run.close()
        parts.run.close()

    assert parts.loads == 2
    costs = [message for message in parts.posted if isinstance(message, GenerationFacts)]
    assert [one.energy.energy_wh for one in costs] == [0.25, 0.25]
