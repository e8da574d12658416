"""Which recipes the user asks for, and what they are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_qeval.benchmarks.selftest import RECIPES
from pytest_qeval.config.values import Values
from pytest_qeval.errors import UnknownNameError, UsageError
from pytest_qeval.quantize.grammar import expand_braces
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import file_stem
from pytest_qeval.verdict.baseline.file import is_baseline_file

__all__ = ["recipe_settings", "replay_settings", "selftest_settings"]

_RESERVED = ("auto", "as-is", "original", "control")
_LONGEST_NAME = 100
_NOT_IN_SELFTEST = (
    *("model", "completions", "recipe", "baseline", "gate", "samples", "save-baseline", "control", "export"),
    *("calibration", "strict", "until-decided", "require-proof", "prompt"),
)


def recipe_settings(values: Values) -> dict[str, Any]:
    """Find every recipe, and what they are compared with; what there is of `Settings` about them."""
    files: dict[str, str] = {}
    for text in [text for given in values.texts("recipe") for text in expand_braces(given)] or ["auto"]:
        _register(files, values.path(text) if text.endswith(".toml") else text)
    saved = _saved(values)
    settings = {"baseline_file": saved, "baseline_force": values.flag("baseline-force")}
    if saved:
        return {**settings, "recipes": tuple(files), "baseline": None, "recipe_files": _unlike_their_names(files)}
    baseline, original = _baseline(values, files)
    others = tuple(name for name in files if name != baseline)
    if baseline is None and len(files) > 1 and values.text("save-baseline"):
        raise UsageError("--qeval-save-baseline: this run has several recipes and no baseline; leave one recipe.")
    # Nothing to compare a recipe with but itself: it is evaluated on its own.
    compared = bool(others) and baseline is not None
    return {
        **settings,
        "recipes": others if compared else tuple(files),
        "baseline": baseline if compared else None,
        "baseline_cached": compared and (values.text("baseline") or "auto") == "auto",
        "control": _control(values, baseline=baseline if compared else None),
        "original": original,
        "recipe_files": _unlike_their_names(files),
    }


def _unlike_their_names(files: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in files.items() if name != text}


def _saved(values: Values) -> Path | None:
    """Return the saved baseline that is named, if one is; whether it can be read is seen when it is."""
    text = values.text("baseline") or "auto"
    if is_baseline_file(Path(values.path(text, "baseline"))):
        if values.flag("control"):
            raise UsageError(
                "--qeval-control runs the baseline twice, and a saved one is not run at all: name the recipe instead, "
                "as in --qeval-baseline run."
            )
        if values.text("save-baseline"):
            raise UsageError(
                "--qeval-save-baseline has nothing new to save where --qeval-baseline names a saved one: copy the file."
            )
        return Path(values.path(text, "baseline"))
    if values.flag("baseline-force"):
        raise UsageError("--qeval-baseline-force is about a saved baseline: name one by --qeval-baseline FILE.json.gz.")
    return None


def _control(values: Values, *, baseline: str | None) -> bool:
    wanted = values.flag("control")
    if wanted and baseline is None:
        raise UsageError("--qeval-control runs the baseline a second time, but this run has none: add --qeval-recipe.")
    return wanted


def _baseline(values: Values, files: dict[str, str]) -> tuple[str | None, str | None]:
    """Return the baseline's recipe, and the model that it is applied to where that is another one."""
    text = values.text("baseline") or "auto"
    if text == "none":
        return None, None
    if text == "run":
        text = "auto"
    toml = text.endswith(".toml")
    if not toml and (text == "demo" or "/" in text or Path(text).expanduser().exists()):
        return "original", text
    try:
        return _register(files, values.path(text, "baseline") if toml else text), None
    except UnknownNameError as error:
        raise UnknownNameError(f"--qeval-baseline {text} names neither a recipe nor a model: {error}") from error


def _register(files: dict[str, str], text: str) -> str:
    """Note a recipe under its name, and give the name; two of one name, or of one file name, are refused."""
    name = find_recipe(text).name
    if name in {"original", "control"} or (name in _RESERVED and text != name):
        raise UsageError(
            f"no recipe can be given the name {name!r}, which has a meaning of its own; to compare with another model, "
            "name that model: --qeval-baseline MODEL."
        )
    if len(name) > _LONGEST_NAME:
        raise UsageError(f"the recipe's name {name[:40]!r}… is longer than {_LONGEST_NAME} characters: shorten it.")
    for other, defined in files.items():
        if (other == name and defined != text) or (other != name and file_stem(other) == file_stem(name)):
            raise UsageError(f"two recipes are called {name!r}: {defined} and {text}. Give one of them another name.")
    files[name] = text
    return name


def replay_settings(values: Values) -> dict[str, Any]:
    """Refuse what a replay cannot do; what there is of `Settings` about its one recipe."""
    for name in ("recipe", "samples", "revision", "engine", "export", "calibration", "control"):
        if values.flag(name):
            raise UsageError(f"--qeval-{name} needs a model; --qeval-completions replays what was generated before.")
    saved = _saved(values)
    if not saved and values.text("baseline") not in {None, "none"}:
        raise UsageError(
            "--qeval-baseline: a replay of one samples file can only be compared with a saved baseline (*.json.gz)."
        )
    return {
        "recipes": ("replay",),
        "baseline": None,
        "baseline_file": saved,
        "baseline_force": values.flag("baseline-force"),
    }


def selftest_settings(values: Values) -> dict[str, Any]:
    """Refuse what a self-test has no use for; what there is of `Settings` about its recipes.

    On the command line only: a project whose ini file names model and gates can be tested all the same.
    """
    for name in _NOT_IN_SELFTEST:
        if values.typed(name) or (values.flag(name) and not values.typed("selftest")):
            raise UsageError(
                f"--qeval-selftest and --qeval-{name} exclude each other: test the harness, or evaluate with it."
            )
    return {"recipes": tuple(RECIPES), "baseline": None, "selftest": True}
