"""From the command line and the ini file to `RunSettings`, once: everything that can be wrong is refused here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pytest_qeval import registry
from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.config.checks import calibrate, check_export, check_gates_of_run, check_suites
from pytest_qeval.config.prompt_format import PromptFormat, choose_prompt_format
from pytest_qeval.config.recipes import RecipeChoice, read_recipes, replay_recipes, selftest_recipes, settle_stored
from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.config.suites import check_suite_options, settle_suites
from pytest_qeval.config.values import Values
from pytest_qeval.engines.base import EngineSource
from pytest_qeval.errors import DataError, UsageError, did_you_mean
from pytest_qeval.settings import (
    ISOLATIONS,
    MORE_SUITES,
    PROMPTS,
    SUITES,
    CalibrationSettings,
    ExecutionSettings,
    GenerationSettings,
    ModelSettings,
    PromptName,
)
from pytest_qeval.verdict.gates.checks import parse_gates
from pytest_qeval.verdict.gates.grammar import Gate

if TYPE_CHECKING:
    import pytest

__all__ = ["ComparisonSettings", "Settled", "read_comparison", "read_settings"]


class Settled(NamedTuple):
    """What the controller of pytest-xdist has settled, which a worker takes over."""

    prompt: PromptFormat
    suites: tuple[str, ...]


def read_settings(config: pytest.Config, settled: Settled | None = None) -> RunSettings | None:
    """Read, resolve and check what the user asked for; None when the plugin is to stay inert.

    Args:
        config: Of the session.
        settled: In a worker: what the controller has settled.

    Raises:
        UsageError: for anything that cannot work, before a model is loaded.
    """
    values = Values(config)
    if values.flag("selftest"):
        model, completions, choice = NAME, None, selftest_recipes(values)
    else:
        name, completions = values.text("model"), values.file("completions")
        if name and completions:
            raise UsageError(
                "--qeval-model and --qeval-completions exclude each other: run a model, or replay samples."
            )
        if not (name or completions):
            return None
        model, choice = name or str(completions), replay_recipes(values) if completions else read_recipes(values)
    settings = _settings(values, model, completions, choice)
    if not settings.replays:
        settings = _resolved(settings, choice)
    settings = _with_suites(settings, values, settled)
    settings = replace(settings, gates=parse_gates(_gate_texts(values), has_baseline=_has_baseline(settings)))
    _check(settings, values)
    settings = calibrate(settings)
    prompt = settled.prompt if settled else choose_prompt_format(_prompt(values), settings)
    generation = replace(settings.generation, prompt_style=prompt.style)
    return replace(settings, generation=generation, prompt_reason=prompt.reason)


def _settings(values: Values, model: str, completions: str | None, choice: RecipeChoice) -> RunSettings:
    """Read every option but those that depend on the model."""
    evaluates = not values.flag("selftest")
    return RunSettings(
        model=ModelSettings(
            name=model,
            revision=values.text("revision") if evaluates else None,
            engine="replay" if completions or not evaluates else values.text("engine") or "transformers",
            device=(values.text("device") or "auto") if evaluates else "auto",
            threads=values.positive("threads") if evaluates else None,
            batch_size=values.positive("batch-size") if evaluates else None,
        ),
        candidates=choice.candidates,
        baseline=choice.baseline,
        recipes=choice.recipes,
        baseline_file=choice.baseline_file,
        baseline_cached=choice.baseline_cached,
        baseline_force=evaluates and values.flag("baseline-force"),
        save_baseline=_save_baseline(values) if evaluates else None,
        control=choice.control,
        require_proof=evaluates and values.flag("require-proof"),
        strict=evaluates and values.flag("strict"),
        until_decided=evaluates and values.flag("until-decided"),
        benchmarks=_benchmarks(values),
        perturbations=tuple(values.texts("perturbation")),
        perturbation_seeds=values.positive("seeds"),
        limit=values.positive("limit"),
        completions=_existing_file(completions, "--qeval-completions") if completions else None,
        selftest=not evaluates,
        data=_existing_folder(values.file("data")),
        output=values.output("output"),
        export=values.output("export") if evaluates else None,
        generation=_generation(values) if evaluates else GenerationSettings(),
        calibration=_calibration(values) if evaluates else CalibrationSettings(),
        execution=_execution(values),
    )


def _resolved(settings: RunSettings, choice: RecipeChoice) -> RunSettings:
    """Find the models without loading them; a checkpoint that is quantized already has a say in the recipes."""
    engine: EngineSource = registry.load("engines", settings.model.engine)
    source = engine.find(settings.model)
    choice = settle_stored(choice, source)
    original = None
    if choice.original is not None:
        original = engine.find(replace(settings.model, name=choice.original, revision=None))
    return replace(
        settings,
        resolved=ResolvedModel(engine=engine, source=source, original=original),
        candidates=choice.candidates,
        baseline=choice.baseline,
        recipes=choice.recipes,
        baseline_cached=choice.baseline_cached,
    )


def _with_suites(settings: RunSettings, values: Values, settled: Settled | None) -> RunSettings:
    if settled:
        return replace(settings, suites=settled.suites)
    named = values.texts("suite")
    settings = replace(settings, suites=_suites(named))
    if values.names_files:
        return settings
    settings = settle_suites(settings, every_suite="all" in named)
    if settings.suites:
        check_suite_options(settings.suites, values.typed_options)
    return settings


def _check(settings: RunSettings, values: Values) -> None:
    check_suites(settings)
    check_export(settings)
    # Files may bring benchmarks of their own, which are known once the tests are collected.
    benchmarks = None if values.names_files else registry.names("benchmarks")
    check_gates_of_run(settings, benchmarks=benchmarks, distributed=values.is_distributed)


def _has_baseline(settings: RunSettings) -> bool:
    return settings.baseline is not None or settings.baseline_file is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSettings:
    """What `--qeval-compare` was asked."""

    a: Path
    """The journal of the baseline's run."""
    b: Path
    """The journal of the run that is judged."""
    gates: tuple[Gate, ...]
    require_proof: bool
    force: bool
    output: Path


def read_comparison(config: pytest.Config) -> ComparisonSettings:
    """Read what `--qeval-compare` needs.

    Raises:
        UsageError: when a model is named too.
    """
    values = Values(config)
    other = next((name for name in ("model", "completions", "selftest") if values.typed(name)), None)
    if other:
        raise UsageError(f"--qeval-compare reads two finished runs: leave --qeval-{other} out.")
    a, b = (values.start / path for path in config.getoption("qeval_compare"))
    name = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-compare")
    return ComparisonSettings(
        a=a,
        b=b,
        gates=parse_gates(_gate_texts(values), has_baseline=True),
        require_proof=values.flag("require-proof"),
        force=values.flag("baseline-force"),
        output=values.output("output") or values.start / ".qeval" / name,
    )


def _save_baseline(values: Values) -> Path | None:
    path = values.output("save-baseline")
    if path and not path.name.endswith(".json.gz"):
        raise UsageError(
            f"--qeval-save-baseline expects a file that ends in .json.gz, not {values.text('save-baseline')!r}."
        )
    return path


def _gate_texts(values: Values) -> list[str]:
    if values.flag("selftest"):
        return []
    return [values.path(text, "gate") if text.endswith(".toml") else text for text in values.texts("gate")]


def _calibration(values: Values) -> CalibrationSettings:
    source = values.text("calibration") or CalibrationSettings().source
    return CalibrationSettings(
        source=values.path(source, "calibration") if source.endswith(".jsonl") else source,
        allow_overlap=values.flag("allow-overlap"),
    )


def _suites(names: Sequence[str]) -> tuple[str, ...]:
    known = (*SUITES, *MORE_SUITES, "all")
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        guess = did_you_mean(unknown, known)
        raise UsageError(f"there is no suite {unknown!r}. {guess}Available: {', '.join(known)}.")
    return tuple(dict.fromkeys(suite for name in names for suite in (SUITES if name == "all" else (name,))))


def _benchmarks(values: Values) -> tuple[str, ...]:
    names = tuple(values.texts("benchmark"))
    for name in names:
        if name.endswith(".jsonl"):
            raise UsageError(
                f"--qeval-benchmark expects a name, not the file {name!r}. To ask problems of your own, put a test "
                f'beside the file, marked @pytest.mark.qeval("{Path(name).name}"), or qeval_robustness to perturb them.'
            )
        registry.load("benchmarks", name)  # an unknown name is refused now
    return names


def _generation(values: Values) -> GenerationSettings:
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


def _prompt(values: Values) -> PromptName:
    if values.flag("selftest"):
        return "auto"
    prompt: Any = values.text("prompt") or "auto"
    if prompt not in PROMPTS:
        raise UsageError(f"--qeval-prompt expects one of {', '.join(PROMPTS)}, not {prompt!r}.")
    return cast("PromptName", prompt)


def _execution(values: Values) -> ExecutionSettings:
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


def _existing_file(name: str, option: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{option}: there is no file {name!r}.")
    return path


def _existing_folder(name: str | None) -> Path | None:
    if name is None:
        return None
    path = Path(name)
    if not path.is_dir():
        raise DataError(f"--qeval-data: there is no folder {name!r}.")
    return path
