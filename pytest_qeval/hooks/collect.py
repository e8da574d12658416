"""From test functions to cases: parametrization, the plan of what was collected, and how a case ends its test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.benchmarks.selftest import describe_fault
from pytest_qeval.errors import QEvalError, UsageError
from pytest_qeval.fixtures import RUNTIME
from pytest_qeval.schema import Case, Json, Record

if TYPE_CHECKING:
    from pytest_qeval.run.context import RunContext
    from pytest_qeval.verdict.baseline.reuse import Saved

__all__ = [
    "ERROR",
    "MARKERS",
    "SAVED",
    "answered_by",
    "check",
    "data_of",
    "early_stop_reason",
    "end_test",
    "parametrize",
    "plan_of",
    "recipe_of",
    "refusal_of",
    "reuse",
]

MARKERS = (
    "qeval(benchmark): ask a benchmark by name, *.jsonl file or object; the test takes the fixtures `qeval` and `case`",
    "qeval_robustness(benchmark): ask the same perturbed, beside the nominal; without a benchmark, the run's own",
    "qeval_early: run this test under every recipe before anything is generated",
)
SAVED = pytest.StashKey["Saved"]()
"""On the config, where a baseline is read instead of run."""
ERROR = pytest.StashKey[QEvalError]()
"""On the config, where a benchmark could not be read."""
_INACTIVE = "needs --qeval-model, --qeval-completions or --qeval-selftest"


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Return a test that takes `qeval` every recipe, and one that takes `case` every case of its benchmark."""
    if "qeval_recipe" not in metafunc.fixturenames:
        return
    runtime = metafunc.config.stash.get(RUNTIME, None)
    if runtime is None:
        _skip(metafunc)
        return
    recipes = runtime.settings.run_recipes
    metafunc.parametrize("qeval_recipe", recipes, indirect=True, scope="session", ids=recipes)
    if "case" in metafunc.fixturenames:
        cases = _cases(metafunc)
        metafunc.parametrize("case", cases, ids=[case.label for case in cases])


def _skip(metafunc: pytest.Metafunc) -> None:
    skipped = pytest.param(None, marks=pytest.mark.skip(reason=_INACTIVE))
    metafunc.parametrize("qeval_recipe", [skipped], indirect=True, scope="session", ids=["inactive"])
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", [None], ids=["inactive"])


def _cases(metafunc: pytest.Metafunc) -> Sequence[Case]:
    """Read the benchmark; what goes wrong is kept for `check`, since an exception here would be one test's affair."""
    marker = metafunc.definition.get_closest_marker("qeval")
    robust = metafunc.definition.get_closest_marker("qeval_robustness")
    runtime = metafunc.config.stash[RUNTIME]
    try:
        if robust is not None:
            named = [_name_of(argument, metafunc.definition, runtime) for argument in robust.args]
            perturbed = runtime.case_problems.perturbed_cases
            return [case for name in named or runtime.default_benchmarks for case in perturbed(name)]
        if marker is None or not marker.args:
            raise UsageError(
                f"{metafunc.definition.nodeid} takes `case` but names no benchmark: "
                "mark it with @pytest.mark.qeval('humaneval') or another one."
            )
        names = [_name_of(argument, metafunc.definition, runtime) for argument in marker.args]
        return [case for name in names for case in runtime.cases(name)]
    except QEvalError as error:
        metafunc.config.stash.setdefault(ERROR, error)
        return []


def _name_of(argument: object, definition: pytest.Item, runtime: RunContext) -> str:
    """Return the name of what a marker means by a benchmark; what is the user's own is read here."""
    from pytest_qeval.benchmarks.base import Benchmark  # noqa: PLC0415 - only for active sessions
    from pytest_qeval.benchmarks.custom import is_problems_file, read_problems  # noqa: PLC0415 - as above

    if isinstance(argument, Benchmark):
        return runtime.library.adopt(argument, origin=definition.nodeid)
    if isinstance(argument, (str, Path)):
        if not is_problems_file(str(argument)):
            return str(argument)
        path = definition.path.parent / argument
        return runtime.library.adopt(read_problems(path), origin=str(path))
    raise UsageError(
        f"{definition.nodeid}: @pytest.mark.qeval expects the name of a benchmark, a *.jsonl file or a Benchmark, "
        f"not {type(argument).__name__}."
    )


def check(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session when a benchmark could not be read, or a recipe would be calibrated on its problems.

    Raises:
        pytest.UsageError: before anything is run; exit status 4.
    """
    error = config.stash.get(ERROR, None)
    runtime = config.stash.get(RUNTIME, None)
    if hasattr(config, "workerinput"):
        if error is not None:
            items.clear()  # the controller says it, and ends the session
        return
    if error is None and runtime is not None:
        error = refusal_of(runtime, [case.benchmark for _, case in plan_of(items) if case])
    if error is not None:
        items.clear()  # what is not run is not planned either
        raise pytest.UsageError(str(error)) from error


def reuse(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of the run what a cached baseline has answered, and put early tests first.

    Raises:
        pytest.UsageError: when the saved baseline that the user named does not have it all.
    """
    runtime = config.stash.get(RUNTIME, None)
    if runtime is None or not items:
        return
    _ask_once(items)
    items.sort(key=lambda item: item.get_closest_marker("qeval_early") is None)
    if (saved := config.stash.get(SAVED, None)) is None:
        return
    try:
        answered = answered_by(saved, runtime, [case for _, case in plan_of(items) if case])
    except QEvalError as error:
        if hasattr(config, "workerinput"):
            return  # the controller says it
        items.clear()
        raise pytest.UsageError(str(error)) from error
    runtime.reuse(answered)
    own = {item: _case_of(item) for item in items if recipe_of(item) == saved.baseline.recipe}
    spared = {item for item, case in own.items() if case in answered}
    left = [own[item] for item in own if item not in spared]
    if not hasattr(config, "workerinput") and runtime.case_problems.are_none(left):
        spared = {*own}  # but workers have to collect the same, whatever they find out
    if spared:
        config.hook.pytest_deselected(items=[item for item in items if item in spared])
        items[:] = [item for item in items if item not in spared]


def _ask_once(items: list[pytest.Item]) -> None:
    """Leave out of the robustness suite the nominal cases that another test asks anyway."""
    robust = {item for item in items if item.get_closest_marker("qeval_robustness")}
    asked = {plan for item in items if item not in robust for plan in plan_of([item])}
    items[:] = [item for item in items if item not in robust or plan_of([item])[0] not in asked]


def answered_by(saved: Saved, runtime: RunContext, cases: Iterable[Case]) -> set[Case]:
    """Return the cases that need not be asked of the baseline again; see `baseline_of_run.answered`."""
    from pytest_qeval.verdict.baseline.reuse import answered  # noqa: PLC0415 - only for active sessions

    problems, cases = runtime.case_problems, list(cases)
    unknown = {case for case in cases if saved.named and case not in saved.records}
    problems.prove(unknown)  # all at once
    real = [case for case in cases if case not in unknown or not problems.fault_of(case)]
    asked = {case: problems.prompt_diff_of(case) for case in real}
    return answered(saved, asked, data_of(runtime, asked), runtime.settings)


def data_of(runtime: RunContext, cases: Iterable[Case]) -> dict[str, Json]:
    """Return the checksums of the benchmarks that cases belong to."""
    return {name: {"sha256": runtime.benchmark(name).sha256} for name in sorted({case.benchmark for case in cases})}


def refusal_of(runtime: RunContext, benchmarks: Iterable[str]) -> QEvalError | None:
    """Say why these benchmarks cannot be asked: recipes are calibrated on them, or a gate is about another one."""
    from pytest_qeval.config.checks import check_overlap  # noqa: PLC0415 - only for active sessions
    from pytest_qeval.verdict.gates.checks import check_gates  # noqa: PLC0415 - as above
    from pytest_qeval.verdict.gates.kinds import check_benchmark_kinds  # noqa: PLC0415 - as above

    names = list(dict.fromkeys(benchmarks))
    try:
        if names:
            check_gates(runtime.gates, candidates=runtime.settings.recipes, benchmarks=names)
            scored = [name for name in names if runtime.is_scored(name)]
            check_benchmark_kinds(runtime.gates, executed=[name for name in names if name not in scored], scored=scored)
        check_overlap(runtime.settings, [runtime.benchmark(name) for name in names])
    except QEvalError as error:
        return error
    return None


def recipe_of(item: pytest.Item) -> str | None:
    """Tell which recipe an item needs; None for an ordinary test."""
    callspec = getattr(item, "callspec", None)
    recipe = callspec.params.get("qeval_recipe") if callspec else None
    return recipe if isinstance(recipe, str) else None


def plan_of(items: Sequence[pytest.Item]) -> list[tuple[str | None, Case | None]]:
    """Return every item's recipe and case, None where it has none."""
    return [(recipe_of(item), _case_of(item)) for item in items]


def _case_of(item: pytest.Item) -> Case | None:
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    return case if isinstance(case, Case) else None


def early_stop_reason(item: pytest.Item, runtime: RunContext) -> str:
    """Say why an item's case need not be asked any more; empty where it has to be."""
    case = _case_of(item)
    decidable = case is not None and case.perturbation is None
    return (
        runtime.decider.early_stop_reason(recipe_of(item), case.benchmark)
        if case and decidable and runtime.decider
        else ""
    )


def end_test(record: Record, runtime: RunContext) -> None:
    """End the test of an unsolved case as an expected failure; under `--qeval-strict` a regression fails.

    In a self-test there are no observations: a case that does not end as it has to fails.

    Raises:
        pytest.xfail.Exception: with the reason that the record gives.
        pytest.fail.Exception: for a regression, when the user wants those to fail, and in a self-test.
    """
    if runtime.settings.selftest:
        fault = describe_fault(record)
        if fault:
            pytest.fail(fault, pytrace=False)
        return
    if record.outcome != "unsolved":
        return
    baseline = runtime.settings.baseline
    base = runtime.outcomes.get((baseline, record.case)) if baseline and baseline != record.recipe else None
    if runtime.settings.strict and base is not None and base.outcome == "solved":
        pytest.fail(f"regressed: {baseline} solved it, {record.recipe} did not ({record.reason})", pytrace=False)
    raise pytest.xfail.Exception(f"unsolved: {record.reason}", pytrace=False)
