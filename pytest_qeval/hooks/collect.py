"""From test functions to cases: parametrize tests, check what was collected, find what a saved baseline has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.config.named_tests import named_tests
from pytest_qeval.config.origins import with_origin
from pytest_qeval.config.suites import measures_efficiency
from pytest_qeval.config.values import Values
from pytest_qeval.errors import QEvalError, UsageError, did_you_mean
from pytest_qeval.hooks.items import case_of, plan_of, recipe_of, workload_of
from pytest_qeval.measure.timing_facts import CASES, QUICK

if TYPE_CHECKING:
    from pytest_qeval.run.context import RunContext
    from pytest_qeval.schema import Case

ERROR = pytest.StashKey[QEvalError]()
"""On the config, where a benchmark could not be read."""


def parametrize(metafunc: pytest.Metafunc, context: RunContext) -> None:
    """Parametrize a test that takes `qeval` by recipe, one that takes `case` by case, and one by `workload`."""
    recipes = context.settings.run_names
    metafunc.parametrize("qeval_recipe", recipes, indirect=True, scope="session", ids=recipes)
    if "case" in metafunc.fixturenames:
        cases = _cases(metafunc, context)
        metafunc.parametrize("case", cases, ids=[case.label for case in cases])
    if "workload" in metafunc.fixturenames:
        whole = measures_efficiency(context.settings)
        metafunc.parametrize("workload", CASES if whole else (QUICK,))


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


def check(config: pytest.Config, context: RunContext, items: list[pytest.Item]) -> None:
    """End the session when a benchmark could not be read, or does not fit the gates or the calibration.

    Raises:
        pytest.UsageError: before anything is run; exit status 4.
    """
    if config.pluginmanager.hasplugin("pytest_forked"):
        _check_forked(config, items)
    error = config.stash.get(ERROR, None)
    if hasattr(config, "workerinput"):
        if error is not None:
            items.clear()  # the controller ends the session
        return
    if error is None:
        try:
            context.check_benchmarks([case.benchmark for case in map(case_of, items) if case])
        except QEvalError as found:
            error = found
    if error is not None:
        items.clear()  # what is not run is not planned either
        raise pytest.UsageError(with_origin(error, config)) from error


_OF_PERTURBED = ("--qeval-perturbation", "--qeval-seeds", "--qeval-benchmark")


def check_plan(config: pytest.Config, context: RunContext, plan: Sequence[tuple[str | None, Case | None]]) -> None:
    """Make sure that what the user typed for perturbed tests, or for code to be filled in, is read by a selected test.

    Only test files that the user names may have none: suites are checked when the options are read.

    Raises:
        UsageError: naming the option and the marker.
    """
    values = Values(config)
    names = {case.benchmark for _, case in plan if case}
    if "--qeval-fim" in values.typed_options and values.names_files and not any(map(context.infills, names)):
        raise UsageError(
            "--qeval-fim does nothing in this run, since no selected test fills in code: mark one with "
            "@pytest.mark.qeval('infilling-single-line'), or with problems of your own that have a suffix."
        )
    typed = [option for option in values.typed_options if option in _OF_PERTURBED and values.names_files]
    perturbed = any(case and not case.is_own for _, case in plan)
    measuring = any(recipe and case is None for recipe, case in plan)  # may measure a divergence on any benchmark
    unread = [option for option in typed if not (perturbed or (measuring and option == "--qeval-benchmark"))]
    if unread:
        raise UsageError(
            f"{unread[0]} does nothing in this run, since no selected test perturbs problems: mark one with "
            "@pytest.mark.qeval_robustness, or with its problems as in @pytest.mark.qeval_robustness('ours.jsonl')."
        )


def _check_forked(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Keep an error for a test of pytest-forked's: its process would load the model, and take the records along."""
    forked = next((item for item in items if recipe_of(item) and item.get_closest_marker("forked")), None)
    if forked or config.getoption("forked"):
        asked = f"the marker `forked` of {forked.nodeid}" if forked else "--forked"
        error = UsageError(f"{asked} ends a process with every test, and the model in it: leave it out.")
        config.stash.setdefault(ERROR, error)


def select_named(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only the tests of suites whose ids the command line names, if it names any.

    Raises:
        pytest.UsageError: for an id that no collected test has.
    """
    names = named_tests(config)
    if not names or config.stash.get(ERROR, None):
        return
    ids = {item.nodeid for item in items}
    unknown = next((name for name in names if name not in ids), None)
    others = [item for item in items if item.nodeid not in names]
    if unknown is not None:
        error = UsageError(
            f"No test of this run is called {unknown!r}. {did_you_mean(unknown, ids)}"
            "`--collect-only -q` with the same options shows all names."
        )
        items.clear()  # what is not run is not planned either
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(str(error))
        config.stash[ERROR] = error  # the controller ends the session
    elif others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.nodeid in names]


def reuse(config: pytest.Config, context: RunContext, items: list[pytest.Item]) -> None:
    """Find the cases that a saved baseline has, whose tests show its records; sort, to load each recipe once.

    Raises:
        pytest.UsageError: when the saved baseline that the user named lacks a case.
    """
    if not items:
        return
    _drop_repeated(items)
    is_worker = hasattr(config, "workerinput")
    try:
        if not is_worker:
            check_plan(config, context, plan_of(items))
        _sort(items, context.settings.run_names)
        context.reuse(context.find_reusable([case for case in map(case_of, items) if case]).cases)
    except QEvalError as error:
        if not is_worker:  # for workers the controller ends the session
            items.clear()
            raise pytest.UsageError(with_origin(error, config)) from error


def _sort(items: list[pytest.Item], recipes: Sequence[str]) -> None:
    """Put tests of one recipe after the other, early tests first; pytest's `--ff` for one mixes recipes.

    The baseline comes first, for a regression to be told; ordinary tests stay where they are. What is timed beside
    other recipes comes last, when no engine has anything left to generate.
    """
    places = [place for place, item in enumerate(items) if recipe_of(item)]
    ranks = {recipe: rank for rank, recipe in enumerate(recipes)}

    def key(item: pytest.Item) -> tuple[bool, bool, int]:
        is_last = workload_of(item) not in {None, QUICK}
        return is_last, item.get_closest_marker("qeval_early") is None, ranks[recipe_of(item) or ""]

    for place, item in zip(places, sorted((items[place] for place in places), key=key), strict=True):
        items[place] = item


def _drop_repeated(items: list[pytest.Item]) -> None:
    """Leave out of the robustness suite the nominal cases that another test runs anyway."""
    robust = {item for item in items if item.get_closest_marker("qeval_robustness")}
    planned = {plan for item in items if item not in robust for plan in plan_of([item])}
    items[:] = [item for item in items if item not in robust or plan_of([item])[0] not in planned]
