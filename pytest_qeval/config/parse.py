"""From the command line and the ini file to `RunSettings`, once: everything that can be wrong is refused here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_qeval import registry
from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.config.budget import with_budget
from pytest_qeval.config.checks import (
    calibrate,
    check_export,
    check_gates_of_run,
    check_output,
    check_served,
    check_suites,
)
from pytest_qeval.config.option_groups import (
    existing,
    gate_texts,
    read_benchmarks,
    read_budget,
    read_calibration,
    read_energy,
    read_execution,
    read_fim,
    read_generation,
    read_open,
    read_prompt,
    read_save_baseline,
    read_suites,
    read_threads,
)
from pytest_qeval.config.prompt_format import PromptFormat, choose_prompt_format
from pytest_qeval.config.recipes import RecipeChoice, read_recipes, settle_stored
from pytest_qeval.config.resume import read_resume
from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.config.servers import Servers, find_servers, read_llama, refuse_without_server
from pytest_qeval.config.suites import settle_suites
from pytest_qeval.config.unused_options import settle_unused
from pytest_qeval.config.values import Values
from pytest_qeval.config.vllm import read_vllm
from pytest_qeval.config.without_model import replay_recipes, selftest_recipes, without_inherited
from pytest_qeval.engines.base import EngineSource
from pytest_qeval.engines.fit.cache_checks import check_cache
from pytest_qeval.engines.samples_file import read_samples
from pytest_qeval.errors import UsageError, about
from pytest_qeval.settings import ModelSettings
from pytest_qeval.verdict.gates.checks import parse_gates

if TYPE_CHECKING:
    import pytest


_PERTURBED = re.compile(r"-s\d+$")
"""How `Case.label` ends for a perturbed problem."""


class Settled(NamedTuple):
    """What the controller of pytest-xdist has settled, which a worker takes over."""

    prompt: PromptFormat
    suites: tuple[str, ...]
    commits: tuple[str | None, ...]
    """Of `ResolvedModel.sources`: the hub's default branch may move meanwhile."""
    memory_bytes: int
    """Share of the memory that was free before any worker loaded a model."""
    place: int = 0
    """Number of this worker."""


def read_settings(config: pytest.Config, settled: Settled | None = None) -> RunSettings | None:
    """Read, resolve and check what the user asked for; None when the plugin is to stay inert.

    Raises:
        UsageError: for anything that cannot work, before a model is loaded.
    """
    values = Values(config)
    if values.flag("selftest"):
        values = without_inherited(values)
        model, completions, choice, servers = NAME, None, selftest_recipes(values), None
    else:
        name, completions, servers = values.text("model"), values.file("completions"), None
        if name and completions:
            raise UsageError(
                "--qeval-model and --qeval-completions exclude each other: run a model, or replay samples."
            )
        if not (name or completions or values.text("endpoint") or values.texts("candidate")):
            return None
        values = without_inherited(values) if completions else values
        servers = None if completions else find_servers(values)
        if servers is None:
            refuse_without_server(values)
        model = name or str(completions or "")
        choice = replay_recipes(values) if completions else read_recipes(values, servers)
    settings = _settings(values, model, completions, choice)
    if _only_nominal(settings) and values.inherited("perturbation") and "robustness" not in values.texts("suite"):
        values = values.without({"perturbation": "the samples file has no completion of a perturbed problem"})
        settings = replace(settings, perturbations=())
    if settled:
        model_settings = replace(settings.model, memory_bytes=settled.memory_bytes, place=settled.place)
        settings = replace(settings, model=model_settings)
    if not settings.replays:
        settings = _resolved(settings, choice, servers, settled.commits if settled else ())
        settings = with_budget(settings, read_budget(values), n_workers=values.n_planned)
    settings = _with_suites(settings, values, settled)
    if not settings.selftest:
        settings = replace(
            settings, gates=parse_gates(gate_texts(values), has_baseline=settings.compares, replays=settings.replays)
        )
    _check(settings, values)
    settings = calibrate(settings)
    if not settled:
        settings = settle_unused(settings, values)
        prompt = choose_prompt_format("auto" if settings.selftest else read_prompt(values), settings)
    else:
        prompt = settled.prompt
    generation = replace(settings.generation, prompt_style=prompt.style)
    return replace(settings, generation=generation, prompt_reason=prompt.reason, prompt_doubt=prompt.doubt)


def _settings(values: Values, model: str, completions: str | None, choice: RecipeChoice) -> RunSettings:
    """Read every option but those that depend on the model; a self-test ignores what an evaluation needs."""
    selftest = values.flag("selftest")
    file = existing(values, "completions", "file") if completions else None
    read = read_samples(file) if file else None
    resume = read_resume(values)
    settings = RunSettings(
        model=ModelSettings(name=model, engine="replay"),
        **choice.settings,
        benchmarks=read_benchmarks(values),
        perturbations=tuple(values.texts("perturbation")),
        perturbation_seeds=values.positive("seeds"),
        limit=values.positive("limit"),
        completions=file,
        samples=read.completions if read else None,
        samples_notes=read.notes if read else (),
        selftest=selftest,
        data=existing(values, "data", "folder"),
        output=resume or values.output("output"),
        resume=resume,
        execution=read_execution(values),
    )
    return settings if selftest else replace(settings, **_of_evaluation(values, settings))


def _divergence_texts(values: Values) -> dict[str, str] | None:
    """Read the first completion of each task that the divergence is measured on."""
    file = existing(values, "divergence-texts", "file")
    if file is None:
        return None
    with about("divergence-texts"):
        return {task_id: found[0].text for task_id, found in read_samples(file).completions.items()}


def _of_evaluation(values: Values, settings: RunSettings) -> dict[str, Any]:
    return {
        "model": replace(
            settings.model,
            revision=values.text("revision"),
            remote_code=values.flag("trust-remote-code"),
            engine="replay" if settings.completions else values.text("engine") or "transformers",
            device=values.text("device") or "auto",
            threads=read_threads(values),
            batch_size=values.positive("batch-size"),
            llama=read_llama(values),
            vllm=read_vllm(values),
        ),
        "baseline_force": values.flag("baseline-force"),
        "save_baseline": read_save_baseline(values),
        "baseline_drafts": values.flag("baseline-drafts"),
        "divergence_texts": _divergence_texts(values),
        "require_proof": values.flag("require-proof"),
        "allow_missing": values.flag("allow-missing"),
        "strict": values.flag("strict"),
        "until_decided": values.flag("until-decided"),
        "open_page": read_open(values),
        "export": values.output("export"),
        "generation": read_generation(values),
        "fim": read_fim(values),
        "calibration": read_calibration(values),
        "energy": read_energy(values),
    }


def _only_nominal(settings: RunSettings) -> bool:
    """Return whether this replays completions, none of which is of a perturbed problem."""
    return settings.samples is not None and not any(_PERTURBED.search(label) for label in settings.samples)


def _resolved(
    settings: RunSettings, choice: RecipeChoice, servers: Servers | None, commits: Sequence[str | None]
) -> RunSettings:
    """Find the models without loading them; a checkpoint that is quantized already has a say in the recipes."""
    if servers:
        settings = replace(settings, model=replace(settings.model, server=servers.settings))
    served: dict[str, Any] = {"server_engine": servers.engine, "served": servers.sources} if servers else {}
    if servers and choice.own == ():
        source = next(iter({**servers.candidates, **servers.baseline}.values()))
        model = replace(settings.model, name=source.name, engine=servers.engine.name)
        return replace(
            settings, model=model, resolved=ResolvedModel(engine=servers.engine, source=source, **served)
        )  # fmt: skip
    with about("engine"):
        engine: EngineSource = registry.load("engines", settings.model.engine)
    commit, commit_of_original = (*commits, None, None)[:2]
    with about("model"):
        source = engine.find(replace(settings.model, revision=commit or settings.model.revision))
    choice = settle_stored(choice, source)
    with about("recipe"):
        check_cache(source, choice.recipes.values())
    original = None
    if choice.original is not None:
        with about("baseline"):
            original = engine.find(replace(settings.model, name=choice.original, revision=commit_of_original))
    resolved = ResolvedModel(engine=engine, source=source, original=original, **served)
    return replace(settings, resolved=resolved, **choice.settings)


def _with_suites(settings: RunSettings, values: Values, settled: Settled | None) -> RunSettings:
    if settled:
        return replace(settings, suites=settled.suites)
    named = values.texts("suite") or values.named_suites
    suites = read_suites(named)
    if values.names_files:  # which replace the suites
        return settings
    return settle_suites(replace(settings, suites=suites), every_suite="all" in named)


def _check(settings: RunSettings, values: Values) -> None:
    check_served(settings)
    check_suites(settings)
    check_export(settings)
    check_output(settings)
    # Files may bring benchmarks of their own, which are known once the tests are collected.
    benchmarks = None if values.names_files else registry.names("benchmarks")
    check_gates_of_run(settings, benchmarks=benchmarks, distributed=values.is_distributed)
