"""A run as the user asked for it, resolved: recipes, gates and models are objects, and every name is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_qeval.engines.base import EngineSource
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.measure.memory_facts import BudgetFacts
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Completion
from pytest_qeval.settings import (
    CONTROL,
    CalibrationSettings,
    EnergySettings,
    ExecutionSettings,
    GenerationSettings,
    ModelSettings,
)
from pytest_qeval.verdict.gates.grammar import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """A model that was found, and the engine that runs it."""

    engine: EngineSource
    source: ModelSource
    original: ModelSource | None = None
    """The model that the recipe `original` loads, where the baseline is another model."""
    server_engine: EngineSource | None = None
    """Asks the servers, if there are any."""
    served: Mapping[str, ModelSource] = field(default_factory=dict)
    """By recipe, the models that servers have loaded."""

    @property
    def sources(self) -> tuple[ModelSource, ...]:
        """Models of the engine."""
        return (self.source, self.original) if self.original else (self.source,)

    @property
    def models(self) -> tuple[tuple[EngineSource, ModelSource], ...]:
        """All models of the run, each once, with what runs them."""
        served = [(self.server_engine, source) for source in self.served.values() if self.server_engine]
        own = [(self.engine, source) for source in self.sources]
        return tuple({(source.name, source.endpoint): (engine, source) for engine, source in (*own, *served)}.values())

    def engine_of(self, recipe: str) -> EngineSource:
        """Return what runs a recipe of this name."""
        return self.server_engine if self.server_engine and recipe in self.served else self.engine

    def source_of(self, recipe: Recipe) -> ModelSource:
        """Return the model that a recipe is applied to."""
        if recipe.name in self.served:
            return self.served[recipe.name]
        return self.original if self.original and recipe.name == "original" else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """One run. Nothing below reads an option, an environment variable or a recipe's name."""

    model: ModelSettings
    resolved: ResolvedModel | None = None
    """None where completions are replayed."""
    candidates: tuple[str, ...]
    """Names of the recipes under test, in the order given; the baseline is not among them."""
    baseline: str | None
    """Name of the recipe that the candidates are compared with; None for no comparison."""
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    """By name, the baseline's included; empty where completions are replayed."""
    baseline_file: Path | None = None
    """A saved baseline, which is read instead of run."""
    baseline_cached: bool = False
    """Whether the baseline may be taken from the cache, and is kept there."""
    baseline_force: bool = False
    """Whether a saved baseline may have been made under other conditions."""
    save_baseline: Path | None = None
    """Where the baseline is written to, if it is."""
    control: bool = False
    """Whether the baseline runs a second time, in another batch order, as the recipe `control`."""
    baseline_drafts: bool = False
    """Whether completions of candidates are drafted from the baseline's."""
    budgets: Mapping[str, BudgetFacts] = field(default_factory=dict)
    """By recipe, what it is predicted to need of `--qeval-ram-budget`; empty without one."""
    gates: tuple[Gate, ...] = ()
    require_proof: bool = False
    strict: bool = False
    divergence_texts: Mapping[str, str] | None = None
    """Completions to measure the divergence on, by task id; None takes the canonical solutions."""
    until_decided: bool = False
    """Whether a candidate stops when its gates are decided; cases run in random order then."""
    suites: tuple[str, ...] = ()
    """Empty leaves the choice to the model and the gates."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Suites of `all` whose data cannot be had, with the reason."""
    unused: tuple[str, ...] = ()
    """Options that have no effect in this run and are not refused, each with the reason."""
    benchmarks: tuple[str, ...] = ()
    """For suites that take any benchmark; empty leaves the choice to the model."""
    perturbations: tuple[str, ...] = ()
    """Names, categories, levels or sets; empty is the set `screen`."""
    perturbation_seeds: int | None = None
    """Seeds of each random perturbation; None leaves that to the set."""
    limit: int | None = None
    """Problems per benchmark, from the first; None for all."""
    completions: Path | None = None
    """A samples file to replay instead of running a model."""
    samples: Mapping[str, Sequence[Completion]] | None = None
    """What that file holds, by task id."""
    samples_notes: tuple[str, ...] = ()
    """What a user has to know about its lines, without the file's name."""
    allow_missing: bool = False
    """Whether gates are judged although cases are missing."""
    selftest: bool = False
    """Whether the harness tests itself with reference solutions and broken ones."""
    data: Path | None = None
    """The user's folder of benchmark files."""
    output: Path | None = None
    """Where reports are written; None makes a new folder under `.qeval`."""
    resume: Path | None = None
    """Folder of the run that goes on, where one does; reports are written there."""
    open_page: bool = False
    """Whether the page is shown in a browser at the end."""
    export: Path | None = None
    """Where quantized checkpoints are written, if they are."""
    prompt_reason: str = ""
    """Why `generation.prompt_style` is what it is."""
    prompt_doubt: str = ""
    """Why that may be wrong, where it is a guess; empty where it is none, and in a worker, which reports nothing."""
    fim: str | None = None
    """Template of prompts to be filled in, as `InfillingForm` has it; None finds it by the tokenizer."""
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    calibration_texts: Mapping[str, CalibrationTexts] = field(default_factory=dict)
    """By the name of the recipe that is calibrated on them."""
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    energy: EnergySettings = field(default_factory=EnergySettings)

    @property
    def replays(self) -> bool:
        """Whether completions are known beforehand, so that there is no model and no speed to measure."""
        return self.selftest or self.completions is not None

    @property
    def compares(self) -> bool:
        """Whether there is a baseline to compare the candidates with, run or saved."""
        return self.baseline is not None or self.baseline_file is not None

    @property
    def recipe_names(self) -> tuple[str, ...]:
        """All recipes, the baseline first so that regressions are known when candidates run; no name twice."""
        first = [self.baseline] if self.baseline else []
        return tuple(dict.fromkeys([*first, *([CONTROL] if self.control else []), *self.candidates]))

    @property
    def run_names(self) -> tuple[str, ...]:
        """Recipes that are run: all but a baseline that is read from the file that the user named."""
        return tuple(name for name in self.recipe_names if self.baseline_file is None or name != self.baseline)

    def in_process(self, name: str) -> bool:
        """Return whether a recipe's model is loaded by this program, and not by a server."""
        own = self.baseline if name == CONTROL and self.baseline else name
        return self.resolved is None or self.resolved.engine_of(own).in_process

    @property
    def all_served(self) -> bool:
        """Whether no recipe that is run has its model in this process."""
        return not self.replays and not any(map(self.in_process, self.run_names))

    def recipe(self, name: str) -> Recipe:
        """Return a recipe by name; the control is the baseline's."""
        return self.recipes[self.baseline if name == CONTROL and self.baseline else name]
