"""The command line and the ini file, read once into `Settings`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytest_qeval.errors import DataError, UnknownNameError, UsageError
from pytest_qeval.options import SUITES
from pytest_qeval.quantize.catalogue import find_recipe
from pytest_qeval.quantize.grammar import expand_braces
from pytest_qeval.settings import (
    ISOLATIONS,
    CalibrationSettings,
    ExecutionSettings,
    GenerationSettings,
    ModelSettings,
    Settings,
    file_stem,
)

__all__ = ["ComparisonSettings", "read_comparison", "read_settings"]

_T = TypeVar("_T")
_RESERVED = ("auto", "as-is", "original", "control")
_LONGEST_NAME = 100


def read_settings(config: pytest.Config) -> Settings | None:
    """Read and check what the user asked for; None when the plugin is to stay inert.

    Raises:
        UsageError: for anything that cannot work, before a model is touched.
    """
    values = _Values(config)
    model, completions = values.text("model"), values.file("completions")
    if model and completions:
        raise UsageError("--qeval-model and --qeval-completions exclude each other: run a model, or replay samples.")
    if not (model or completions):
        return None
    recipes = _replayed(values) if completions else _recipes(values)
    return Settings(
        model=ModelSettings(
            name=model or str(completions),
            revision=values.text("revision"),
            engine="replay" if completions else values.text("engine") or "transformers",
            device=values.text("device") or "auto",
            threads=values.positive("threads"),
            batch_size=values.positive("batch-size"),
        ),
        **recipes,
        suites=_suites(values.texts("suite")),
        limit=values.positive("limit"),
        completions=_existing(completions, "--qeval-completions") if completions else None,
        data=_folder(values.file("data")),
        gates=_gates(values),
        require_proof=values.flag("require-proof"),
        strict=values.flag("strict"),
        until_decided=values.flag("until-decided"),
        save_baseline=_output(values.file("save-baseline"), config.invocation_params.dir),
        output=_output(values.file("output"), config.invocation_params.dir),
        export=_output(values.file("export"), config.invocation_params.dir),
        calibration=CalibrationSettings(source=_calibration_source(values), allow_overlap=values.flag("allow-overlap")),
        generation=_generation(values),
        execution=_execution(values),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSettings:
    """What `--qeval-compare` was asked."""

    a: Path
    """The journal of the baseline's run."""
    b: Path
    """The journal of the run that is judged."""
    gates: tuple[str, ...]
    require_proof: bool
    force: bool
    output: Path


def read_comparison(config: pytest.Config) -> ComparisonSettings:
    """Read what `--qeval-compare` needs.

    Raises:
        UsageError: when a model is named too.
    """
    values = _Values(config)
    if values.text("model") or values.text("completions"):
        raise UsageError("--qeval-compare reads two finished runs: leave --qeval-model and --qeval-completions out.")
    a, b = (config.invocation_params.dir / path for path in config.getoption("qeval_compare"))
    name = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-compare")
    output = _output(values.file("output"), config.invocation_params.dir)
    return ComparisonSettings(
        a=a,
        b=b,
        gates=_gates(values),
        require_proof=values.flag("require-proof"),
        force=values.flag("baseline-force"),
        output=output or config.invocation_params.dir / ".qeval" / name,
    )


def _gates(values: _Values) -> tuple[str, ...]:
    return tuple(values.path(text, "gate") if text.endswith(".toml") else text for text in values.texts("gate"))


class _Values:
    """One look-up for both sources: the command line wins over the ini file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def _raw(self, name: str) -> Any:
        dest = f"qeval_{name.replace('-', '_')}"
        value = self._config.getoption(dest)
        return self._config.getini(dest) if value is None else value

    def text(self, name: str) -> str | None:
        return self._raw(name) or None

    def texts(self, name: str) -> Sequence[str]:
        return list(self._raw(name) or ())

    def path(self, text: str, name: str = "recipe") -> str:
        """Resolve a path: against the ini file's folder if it was written there, else against the current one."""
        path = Path(text).expanduser()
        written_in_ini = self._config.getoption(f"qeval_{name.replace('-', '_')}") is None
        if path.is_absolute() or not written_in_ini or self._config.inipath is None:
            return str(path)
        return str(self._config.inipath.parent / path)

    def file(self, name: str) -> str | None:
        """Give an option's path as `path` resolves it; None where there is none."""
        text = self.text(name)
        return self.path(text, name) if text else None

    def flag(self, name: str) -> bool:
        return bool(self._raw(name))

    def number(self, name: str, kind: Callable[[str], _T], check: Callable[[_T], bool], expected: str) -> _T | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not check(value):
            raise UsageError(f"--qeval-{name} expects {expected}, not {text!r}.")
        return value

    def positive(self, name: str) -> int | None:
        return self.number(name, int, lambda value: value > 0, "a whole number above 0")


def _recipes(values: _Values) -> dict[str, Any]:
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


def _saved(values: _Values) -> Path | None:
    """Give the saved baseline that is named, if one is; whether it can be read is seen when it is."""
    text = values.text("baseline") or "auto"
    if text.endswith(".gz"):
        if values.flag("control"):
            raise UsageError(
                "--qeval-control runs the baseline twice, and a saved one is not run at all: name the recipe instead, "
                "as in --qeval-baseline run."
            )
        return Path(values.path(text, "baseline"))
    if values.flag("baseline-force"):
        raise UsageError("--qeval-baseline-force is about a saved baseline: name one by --qeval-baseline FILE.json.gz.")
    return None


def _control(values: _Values, *, baseline: str | None) -> bool:
    wanted = values.flag("control")
    if wanted and baseline is None:
        raise UsageError("--qeval-control runs the baseline a second time, but this run has none: add --qeval-recipe.")
    return wanted


def _baseline(values: _Values, files: dict[str, str]) -> tuple[str | None, str | None]:
    """Give the baseline's recipe, and the model that it is applied to where that is another one."""
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


def _replayed(values: _Values) -> dict[str, Any]:
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


def _calibration_source(values: _Values) -> str:
    source = values.text("calibration") or CalibrationSettings().source
    return values.path(source, "calibration") if source.endswith(".jsonl") else source


def _suites(names: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in {*SUITES, "all"}]
    if unknown:
        raise UsageError(f"there is no suite {unknown[0]!r}. Available: {', '.join(SUITES)}, all.")
    return SUITES if "all" in names else tuple(dict.fromkeys(names))


def _generation(values: _Values) -> GenerationSettings:
    defaults = GenerationSettings()
    temperature = values.number("temperature", float, lambda t: 0 <= t < inf, "a number from 0 on")
    samples = values.positive("samples") or defaults.n_samples
    if samples > 1 and not temperature:
        raise UsageError(
            f"--qeval-samples {samples} with greedy decoding would give the same completion {samples} times: "
            "add --qeval-temperature 0.2, or leave --qeval-samples out."
        )
    return GenerationSettings(
        n_samples=samples,
        temperature=temperature or defaults.temperature,
        top_p=values.number("top-p", float, lambda p: 0 < p <= 1, "a number above 0 and at most 1") or defaults.top_p,
        max_new_tokens=values.positive("max-new-tokens") or defaults.max_new_tokens,
        seed=values.number("seed", int, lambda seed: seed >= 0, "a whole number from 0 on") or 0,
    )


def _execution(values: _Values) -> ExecutionSettings:
    import psutil  # noqa: PLC0415 - only when the plugin is active

    defaults = ExecutionSettings()
    isolation: Any = values.text("sandbox") or defaults.isolation
    if isolation not in ISOLATIONS:
        raise UsageError(f"--qeval-sandbox expects one of {', '.join(ISOLATIONS)}, not {isolation!r}.")
    memory_mb = values.positive("memory")
    return ExecutionSettings(
        isolation=isolation,
        timeout_s=values.number("timeout", float, lambda s: 0 < s < inf, "seconds above 0") or defaults.timeout_s,
        memory_bytes=memory_mb * 2**20 if memory_mb else defaults.memory_bytes,
        workers=values.positive("workers") or psutil.cpu_count() or defaults.workers,
    )


def _existing(name: str, option: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{option}: there is no file {name!r}.")
    return path


def _folder(name: str | None) -> Path | None:
    if name is None:
        return None
    path = Path(name)
    if not path.is_dir():
        raise DataError(f"--qeval-data: there is no folder {name!r}.")
    return path


def _output(name: str | None, start: Path) -> Path | None:
    return start / name if name else None
