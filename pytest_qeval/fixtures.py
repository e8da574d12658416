"""The fixture `qeval`, which evaluates a case with the recipe of the test."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.errors import (
    DataError,
    EngineError,
    InvalidProblemError,
    MissingCompletionError,
    MissingPackageError,
    NoRoomError,
    NoScoresError,
    QEvalError,
    SandboxError,
)

if TYPE_CHECKING:
    from pytest_qeval.facts import SensitivityFacts, StreamFacts
    from pytest_qeval.measure.divergence_facts import DivergenceFacts
    from pytest_qeval.measure.memory_facts import MemoryFacts
    from pytest_qeval.run.context import RunContext
    from pytest_qeval.run.recipe_run import RecipeRun
    from pytest_qeval.schema import Case, Record

__all__ = ["CONTEXT", "ITEM", "RECORD", "TIMER", "QEval", "qeval", "qeval_recipe"]

CONTEXT = pytest.StashKey["RunContext"]()
"""Stash key of the run context, set on the config of every process that runs tests."""
RECORD = pytest.StashKey["Record"]()
"""Stash key of the record, set on an item once its case is evaluated."""
ITEM = pytest.StashKey[pytest.Item]()
"""Stash key of the test that runs, on the config: a fixture of the session does not know it."""
TIMER = pytest.StashKey[object]()
"""Stash key of what pytest-timeout's timer was set with, on an item; None once it is cancelled."""


@contextmanager
def untimed(item: pytest.Item) -> Iterator[None]:
    """Keep a test's time limits from counting what the model takes, for it works ahead for all other tests.

    The timer of pytest-timeout begins anew afterwards; that of `faulthandler_timeout` cannot be set again.
    """
    settings = item.stash.get(TIMER, None)
    if item.config.pluginmanager.hasplugin("faulthandler") and float(item.config.getini("faulthandler_timeout") or 0):
        faulthandler.cancel_dump_traceback_later()
    if settings is None:
        yield
        return
    item.ihook.pytest_timeout_cancel_timer(item=item)
    try:
        yield
    finally:
        item.ihook.pytest_timeout_set_timer(item=item, settings=settings)


class QEval:
    """Evaluate cases with the recipe that the test is parametrized with."""

    def __init__(self, run: RecipeRun, context: RunContext, item: pytest.Item) -> None:
        """Bind a recipe's run to a test item."""
        self._run = run
        self._context = context
        self._item = item

    @property
    def recipe(self) -> str:
        """The name of the recipe."""
        return self._run.recipe

    def __call__(self, case: Case) -> Record:
        """Generate the completions of a case, execute the programs, and return the record.

        A case that the model does not solve does not fail the test: it is reported as unsolved. The test is skipped
        where a perturbed problem turns out to be invalid, and where the samples file has no completion of it.
        """
        try:
            with untimed(self._item):
                record = self._run.evaluate(case)
        except InvalidProblemError as error:
            pytest.skip(f"{case.label} is invalid: {error}")
        except MissingCompletionError as error:
            pytest.skip(f"{case.label} is missing: {error}")
        except (EngineError, SandboxError) as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None  # else pytest says it twice
        self._item.stash[RECORD] = record
        return record

    def measure_stream(self) -> StreamFacts:
        """Measure prefill and decoding of a single stream, or skip the test when samples are replayed."""
        self._skip_replay()
        self._skip_served("a single stream of fixed length")
        with untimed(self._item), self._context.timeline.spending("measuring"):
            return self._context.measurements.stream(self.recipe, self._run.model_engine)

    def measure_memory(self) -> MemoryFacts:
        """Measure the memory of loading, quantizing and decoding in a process of its own.

        The test is skipped when samples are replayed, and for engines that hold no model in this process.
        """
        settings = self._context.settings
        if settings.replays or not settings.in_process(self.recipe) or settings.model.engine != "transformers":
            pytest.skip("there is no model in this process whose memory could be measured")
        try:
            with untimed(self._item):
                return self._context.measurements.memory(self.recipe)
        except QEvalError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None  # else pytest says it twice

    def measure_efficiency(self, workload: str) -> None:
        """Measure one part of what a recipe costs, beside the other recipes where memory allows.

        The test is skipped when samples are replayed, where nothing is quantized, and where the workload does not fit.

        Args:
            workload: `stream` for a single stream with the engine that has generated, else a name of
                `measure.timing_facts.CASES`: `load`, `quantize`, `prefill-128`, `decode-8`, `problems` and so on.
        """
        from pytest_qeval.measure.timing_facts import QUICK  # noqa: PLC0415 - only for active sessions

        self._skip_replay()
        if workload == QUICK:
            self.measure_stream()
            return
        if workload != "problems":
            self._skip_served(workload)
        try:
            with untimed(self._item), self._context.timeline.spending("measuring"):
                self._measure_alone(workload)
        except NoRoomError as error:
            pytest.skip(str(error))
        except QEvalError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None  # else pytest says it twice

    def _measure_alone(self, workload: str) -> None:
        """Measure with engines that do nothing else; this test's own is freed first."""
        from pytest_qeval.measure.timing_facts import WORKLOADS  # noqa: PLC0415 - only for active sessions

        bench, settings = self._context.efficiency, self._context.settings
        self._run.close()
        if workload == "quantize" and not settings.recipe(self.recipe).quantizes:
            pytest.skip(f"{self.recipe} quantizes nothing")
        if workload in WORKLOADS:
            bench.measure(self.recipe, workload)
        elif workload == "problems":
            bench.measure_problems(self.recipe, workload, self._timed_cases())
        else:
            bench.load_recipe(self.recipe)

    def _timed_cases(self) -> Sequence[Case]:
        try:
            return self._context.timed_cases()
        except (DataError, MissingPackageError) as error:
            pytest.skip(f"no problems to time: {error}")

    def _skip_replay(self) -> None:
        if self._context.settings.replays:
            pytest.skip("a replay of samples has no speed to measure")

    def _skip_served(self, what: str) -> None:
        """Skip what needs a model in this process."""
        settings = self._context.settings
        if not settings.in_process(self.recipe):
            where = "run by vLLM" if settings.model.vllm else "on a server"
            pytest.skip(f"{self.recipe} is {where}, where {what} cannot be measured")

    def measure_sensitivity(self, benchmark: str | None = None) -> SensitivityFacts:
        """Quantize one block at a time, and rank the blocks by the divergence that this causes.

        Args:
            benchmark: The benchmark whose solutions the models are compared on; by default `micro` for the embedded
                model and `humaneval` for any other. The first 20 problems are used, or `--qeval-limit`.
        """
        settings = self._context.settings
        if settings.replays or not settings.recipe(self.recipe).is_own_scheme:
            pytest.skip(f"{self.recipe} quantizes nothing by a scheme of this package")
        if not settings.recipe(self.recipe).has_sensitivity:
            pytest.skip(
                f"{self.recipe}: blocks are ranked by their weights alone, so choose the recipe without a cache"
            )
        name = benchmark or self._context.benchmarks.default_name
        with untimed(self._item), self._context.timeline.spending("measuring"):
            return self._context.measurements.sensitivity(self.recipe, name)

    def measure_divergence(self, benchmark: str | None = None) -> DivergenceFacts | None:
        """Compare next-token distributions with those of the baseline, on the solutions of a benchmark's problems.

        Return None for the baseline itself. The test is skipped when samples are replayed, where there is neither a
        baseline to compare with nor one to save, and where a server scores no given tokens.
        """
        name, settings = benchmark or self._context.benchmarks.default_name, self._context.settings
        if settings.replays:
            pytest.skip("a replay of samples has no log-probabilities")
        if not (settings.compares or settings.save_baseline):
            pytest.skip("there is no baseline to compare with")
        try:
            with untimed(self._item), self._context.timeline.spending("measuring"):
                return self._context.measurements.divergence(self.recipe, name, self._run.model_engine)
        except NoScoresError as error:
            pytest.skip(f"{self.recipe}: {error}")
        except QEvalError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None  # else pytest says it twice


@pytest.fixture(scope="session")
def qeval_recipe(request: pytest.FixtureRequest) -> Iterator[RecipeRun]:
    """Yield the recipe that the test is parametrized with, and close it before the next one is loaded."""
    run = request.config.stash[CONTEXT].open(request.param)
    yield run
    with untimed(request.config.stash[ITEM]):
        run.close()


@pytest.fixture
def qeval(qeval_recipe: RecipeRun, request: pytest.FixtureRequest) -> QEval:
    """Return a callable that evaluates the fixture `case` with the recipe of the test."""
    if "case" in request.fixturenames:
        try:
            if qeval_recipe.needs_model(request.getfixturevalue("case")):
                with untimed(request.node):
                    qeval_recipe.load()  # in the set-up, so that a failure is reported as a set-up error
        except QEvalError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None  # else pytest says it twice
    return QEval(qeval_recipe, request.config.stash[CONTEXT], request.node)
