"""From test functions to cases: parametrize tests, check what was collected, find what a saved baseline has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.config.origins import with_origin
from pytest_qeval.config.values import Values
from pytest_qeval.errors import QEvalError, UsageError
from pytest_qeval.fixtures import CONTEXT
from pytest_qeval.hooks.items import case_of, plan_of

if TYPE_CHECKING:
    from pytest_qeval.run.context import RunContext
    from pytest_qeval.schema import Case

MARKERS = (
    "qeval(benchmark): run a benchmark by name, *.jsonl file or object; the test takes the fixtures `qeval` and `case`",
    "qeval_robustness(benchmark): run its perturbed problems beside the nominal ones; without a benchmark, the run's",
    "qeval_early: run this test under every recipe before anything is generated",
)
ERROR = pytest.StashKey[QEvalError]()
"""On the config, where a benchmark could not be read."""
_INACTIVE = "needs --qeval-model, --qeval-completions or --qeval-selftest"


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test that takes `qeval` by recipe, and one that takes `case` by case of its benchmark."""
    if "qeval_recipe" not in metafunc.fixturenames:
        return
    context = metafunc.config.stash.get(CONTEXT, None)
    if context is None:
        _skip(metafunc)
        return
    recipes = context.settings.run_names
    metafunc.parametrize("qeval_recipe", recipes, indirect=True, scope="session", ids=recipes)
    if "case" in metafunc.fixturenames:
        cases = _cases(metafunc, context)
        metafunc.parametrize("case", cases, ids=[case.label for case in cases])


def _skip(metafunc: pytest.Metafunc) -> None:
    skipped = pytest.param(None, marks=pytest.mark.skip(reason=_INACTIVE))
    metafunc.parametrize("qeval_recipe", [skipped], indirect=True, scope="session", ids=["inactive"])
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", [None], ids=["inactive"])


def _cases(metafunc: pytest.Metafunc, context: RunContext) -> Sequence[Case]:
    """Return the cases of a test; keep an error for `check`, since an exception here would fail this test alone."""
    marker = metafunc.definition.get_closest_marker("qeval")
    robust = metafunc.definition.get_closest_marker("qeval_robustness")
    try:
        if robust is not None:
            names = [_benchmark_name(argument, metafunc.definition, context) for argument in robust.args]
            names = names or list(context.benchmarks.default_names)
            return [case for name in names for case in context.problems.perturbed_cases(name)]
        if marker is None or not marker.args:
            raise UsageError(
                f"{metafunc.definition.nodeid} takes `case` but names no benchmark: "
                "mark it with @pytest.mark.qeval('humaneval') or another one."
            )
        names = [_benchmark_name(argument, metafunc.definition, context) for argument in marker.args]
        return [case for name in names for case in context.benchmarks.cases(name)]
    except QEvalError as error:
        metafunc.config.stash.setdefault(ERROR, error)
        return []


def _benchmark_name(argument: object, definition: pytest.Item, context: RunContext) -> str:
    """Return the name of a marker's benchmark; one of the user's own is read here."""
    from pytest_qeval.benchmarks.base import Benchmark  # noqa: PLC0415 - only for active sessions
    from pytest_qeval.benchmarks.custom import is_problems_file, read_problems  # noqa: PLC0415 - as above

    if isinstance(argument, Benchmark):
        return context.benchmarks.adopt(argument, origin=definition.nodeid)
    if isinstance(argument, (str, Path)):
        if not is_problems_file(str(argument)):
            return str(argument)
        path = definition.path.parent / argument
        return context.benchmarks.adopt(read_problems(path), origin=str(path))
    raise UsageError(
        f"{definition.nodeid}: @pytest.mark.qeval expects the name of a benchmark, a *.jsonl file or a Benchmark, "
        f"not {type(argument).__name__}."
    )


def check(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session when a benchmark could not be read, or does not fit the gates or the calibration.

    Raises:
        pytest.UsageError: before anything is run; exit status 4.
    """
    error = config.stash.get(ERROR, None)
    context = config.stash.get(CONTEXT, None)
    if hasattr(config, "workerinput"):
        if error is not None:
            items.clear()  # the controller ends the session
        return
    if error is None and context is not None:
        try:
            context.check_benchmarks([case.benchmark for case in map(case_of, items) if case])
        except QEvalError as found:
            error = found
    if error is not None:
        items.clear()  # what is not run is not planned either
        raise pytest.UsageError(with_origin(str(error), config)) from error


_OF_PERTURBED = ("--qeval-perturbation", "--qeval-seeds", "--qeval-benchmark")


def check_plan(config: pytest.Config, plan: Sequence[tuple[str | None, Case | None]]) -> None:
    """Make sure that what the user typed for perturbed tests is read by a selected test.

    Only test files that the user names may have none: suites are checked when the options are read.

    Raises:
        UsageError: naming the option and the marker.
    """
    values = Values(config)
    typed = [option for option in values.typed_options if option in _OF_PERTURBED and values.names_files]
    perturbed = any(case and not case.is_own for _, case in plan)
    measuring = any(recipe and case is None for recipe, case in plan)  # may measure a divergence on any benchmark
    unread = [option for option in typed if not (perturbed or (measuring and option == "--qeval-benchmark"))]
    if unread:
        raise UsageError(
            f"{unread[0]} does nothing in this run, since no selected test perturbs problems: mark one with "
            "@pytest.mark.qeval_robustness, or with its problems as in @pytest.mark.qeval_robustness('ours.jsonl')."
        )


def reuse(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Find the cases that a saved baseline has, whose tests show its records, and put early tests first.

    Raises:
        pytest.UsageError: when the saved baseline that the user named lacks a case.
    """
    context = config.stash.get(CONTEXT, None)
    if context is None or not items:
        return
    _drop_repeated(items)
    if not hasattr(config, "workerinput"):
        try:
            check_plan(config, plan_of(items))
        except QEvalError as error:
            items.clear()
            raise pytest.UsageError(str(error)) from error
    items.sort(key=lambda item: item.get_closest_marker("qeval_early") is None)
    if context.saved is None:
        return
    is_worker = hasattr(config, "workerinput")
    try:
        reusable = context.find_reusable([case for case in map(case_of, items) if case]).cases
    except QEvalError as error:
        if is_worker:
            return  # the controller ends the session
        items.clear()
        raise pytest.UsageError(str(error)) from error
    context.reuse(reusable)


def _drop_repeated(items: list[pytest.Item]) -> None:
    """Leave out of the robustness suite the nominal cases that another test runs anyway."""
    robust = {item for item in items if item.get_closest_marker("qeval_robustness")}
    planned = {plan for item in items if item not in robust for plan in plan_of([item])}
    items[:] = [item for item in items if item not in robust or plan_of([item])[0] not in planned]
