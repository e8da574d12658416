"""From the command line and the ini file to `RunSettings`, once: everything that can be wrong is refused here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_qeval import registry
from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.config.checks import calibrate, check_export, check_gates_of_run, check_suites
from pytest_qeval.config.option_groups import (
    existing_file,
    existing_folder,
    gate_texts,
    read_benchmarks,
    read_calibration,
    read_execution,
    read_generation,
    read_prompt,
    read_save_baseline,
    read_suites,
)
from pytest_qeval.config.prompt_format import PromptFormat, choose_prompt_format
from pytest_qeval.config.recipes import RecipeChoice, read_recipes, replay_recipes, selftest_recipes, settle_stored
from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.config.suites import check_suite_options, settle_suites
from pytest_qeval.config.values import Values
from pytest_qeval.engines.base import EngineSource
from pytest_qeval.errors import UsageError
from pytest_qeval.settings import (
    ModelSettings,
)
from pytest_qeval.verdict.gates.checks import parse_gates

if TYPE_CHECKING:
    import pytest


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
    if not settings.selftest:
        settings = replace(settings, gates=parse_gates(gate_texts(values), has_baseline=_has_baseline(settings)))
    _check(settings, values)
    settings = calibrate(settings)
    prompt = (
        settled.prompt
        if settled
        else choose_prompt_format("auto" if settings.selftest else read_prompt(values), settings)
    )
    generation = replace(settings.generation, prompt_style=prompt.style)
    return replace(settings, generation=generation, prompt_reason=prompt.reason)


def _settings(values: Values, model: str, completions: str | None, choice: RecipeChoice) -> RunSettings:
    """Read every option but those that depend on the model; a self-test ignores what an evaluation needs."""
    selftest = values.flag("selftest")
    settings = RunSettings(
        model=ModelSettings(name=model, engine="replay"),
        candidates=choice.candidates,
        baseline=choice.baseline,
        recipes=choice.recipes,
        baseline_file=choice.baseline_file,
        baseline_cached=choice.baseline_cached,
        control=choice.control,
        benchmarks=read_benchmarks(values),
        perturbations=tuple(values.texts("perturbation")),
        perturbation_seeds=values.positive("seeds"),
        limit=values.positive("limit"),
        completions=existing_file(completions, "--qeval-completions") if completions else None,
        selftest=selftest,
        data=existing_folder(values.file("data")),
        output=values.output("output"),
        execution=read_execution(values),
    )
    return settings if selftest else replace(settings, **_of_evaluation(values, settings))


def _of_evaluation(values: Values, settings: RunSettings) -> dict[str, Any]:
    return {
        "model": replace(
            settings.model,
            revision=values.text("revision"),
            remote_code=values.flag("trust-remote-code"),
            engine="replay" if settings.completions else values.text("engine") or "transformers",
            device=values.text("device") or "auto",
            threads=values.positive("threads"),
            batch_size=values.positive("batch-size"),
        ),
        "baseline_force": values.flag("baseline-force"),
        "save_baseline": read_save_baseline(values),
        "require_proof": values.flag("require-proof"),
        "strict": values.flag("strict"),
        "until_decided": values.flag("until-decided"),
        "export": values.output("export"),
        "generation": read_generation(values),
        "calibration": read_calibration(values),
    }


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
    settings = replace(settings, suites=read_suites(named))
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
