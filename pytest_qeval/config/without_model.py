"""Runs that load no model, replays and the self-test: what they evaluate, and which options they refuse."""

from __future__ import annotations

from pytest_qeval.benchmarks.selftest import RECIPES
from pytest_qeval.config.baseline_name import is_recipe, saved_baseline, saved_beside
from pytest_qeval.config.recipes import RecipeChoice
from pytest_qeval.config.suites import MEASURING
from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError

NOT_IN_SELFTEST = (
    *("model", "completions", "recipe", "baseline", "gate", "samples", "save-baseline", "control", "export"),
    *("calibration", "strict", "until-decided", "require-proof", "allow-missing", "prompt", "revision", "engine"),
    *("baseline-force", "allow-overlap", "temperature", "top-p", "max-new-tokens", "seed", "device", "threads"),
    *("batch-size", "trust-remote-code", "baseline-drafts", "open", "country", "power-watts", "embodied", "ram-budget"),
)
"""Options about what a self-test does not have: a model, a baseline, gates."""
_NOT_IN_REPLAY = (
    *("recipe", "samples", "revision", "trust-remote-code", "engine", "export", "calibration", "allow-overlap"),
    *("control", "baseline-drafts", "ram-budget"),
)


def replay_recipes(values: Values) -> RecipeChoice:
    """Return the one recipe of a replay.

    Raises:
        UsageError: for an option that needs a model.
    """
    for name in _NOT_IN_REPLAY:
        if values.flag(name):
            raise UsageError(f"--qeval-{name} needs a model; --qeval-completions replays what was generated before.")
    saved = saved_baseline(values)
    if not saved and values.text("baseline") not in {None, "none"}:
        raise UsageError(
            "--qeval-baseline: a replay of one samples file can only be compared with a saved baseline (*.json.gz)."
            f"{saved_beside(values)}"
        )
    return RecipeChoice(candidates=("replay",), baseline_file=saved)


def without_inherited(values: Values) -> Values:
    """Leave out of a replay, or a self-test, what the ini file or `addopts` says about runs of a model.

    A gate is never left out: it is judged, or refused.
    """
    what = "a self-test" if values.flag("selftest") else "a replay"
    reason = f"it is for runs of a model, and this is {what}"
    names = list(() if values.flag("selftest") else _NOT_IN_REPLAY)
    if set(values.texts("suite")) <= set(MEASURING):
        names.append("suite")
    if not (values.flag("selftest") or _may_be_saved(values)):
        names += ["baseline", "baseline-force"]
    return values.without({name: reason for name in names if values.inherited(name)})


def _may_be_saved(values: Values) -> bool:
    """Return whether the baseline is a saved one, or none, or looks like a misspelled one."""
    text = values.text("baseline") or "auto"
    if text == "none" or is_recipe(text):
        return text == "none"
    return text.endswith((".json", ".json.gz")) or bool(saved_beside(values))


def selftest_recipes(values: Values) -> RecipeChoice:
    """Return the recipes of a self-test.

    An ini file may name model and gates all the same, and so may `addopts`: only what was typed is refused.

    Raises:
        UsageError: for an option that a self-test does not use, or beside a self-test that was not typed.
    """
    typed = () if values.in_worker else values.typed_options
    for name in () if values.in_worker else NOT_IN_SELFTEST:
        given = values.typed(name) if values.typed("selftest") else values.flag(name)
        if f"--qeval-{name}" in typed or (given and "--qeval-selftest" not in typed):
            raise UsageError(
                f"--qeval-selftest and --qeval-{name} exclude each other: test the harness, or evaluate with it."
            )
    return RecipeChoice(candidates=tuple(RECIPES))
