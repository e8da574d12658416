"""What the user asked for, parsed once and frozen. Nothing below reads an option or an environment variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from pytest_qeval.schema import PromptStyle

__all__ = [
    "CONTROL",
    "ISOLATIONS",
    "MORE_SUITES",
    "PROMPTS",
    "SUITES",
    "CalibrationSettings",
    "ExecutionSettings",
    "GenerationSettings",
    "IsolationName",
    "ModelSettings",
    "PromptName",
    "Settings",
    "file_stem",
]

IsolationName = Literal["auto", "bwrap", "namespace", "process"]
PromptName = Literal["auto", "completion", "chat"]
PROMPTS: tuple[PromptName, ...] = get_args(PromptName)
CONTROL = "control"
"""Name of the baseline's second run."""
ISOLATIONS: tuple[IsolationName, ...] = get_args(IsolationName)

SUITES = ("divergence", "humaneval", "mbpp", "micro", "summarization", "robustness", "efficiency", "sensitivity")
"""In the order in which they run."""
MORE_SUITES = ("codesearchnet", "humaneval-plus", "mbpp-function", "mbpp-plus", "mbpp-sanitized")
"""Those that `all` leaves out, for their size, or because they are other editions of the same problems."""


def file_stem(recipe: str) -> str:
    """Spell a recipe's name so that any file system takes it: `torchao_Int8WeightOnlyConfig`."""
    return re.sub(r"[^\w.+-]+", "_", recipe).lstrip(".") or "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """How completions are generated; part of what makes two runs comparable."""

    n_samples: int = 1
    temperature: float = 0.0
    """0.0 is greedy decoding."""
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int = 0
    prompt_style: PromptStyle = "completion"
    """How problems are put to the model; settled from `Settings.prompt` when the session begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which model, who runs it, and where."""

    name: str
    """Hub id, directory, GGUF file or `demo`, as the user wrote it."""
    revision: str | None = None
    engine: str = "transformers"
    device: str = "auto"
    threads: int | None = None
    """CPU threads of the engine; None leaves torch's own choice, or under xdist an equal share."""
    batch_size: int | None = None
    """Rows of the decoding batch; None lets the engine choose by device and free memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSettings:
    """What recipes with static activations are calibrated on."""

    source: str = "stdlib"
    """`stdlib`, a JSONL file, or a hub data set; how much of it is the recipe's affair."""
    allow_overlap: bool = False
    """Whether texts may be those of the benchmark that is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSettings:
    """How programs are executed."""

    isolation: IsolationName = "auto"
    timeout_s: float = 5.0
    memory_bytes: int = 1024 * 2**20
    workers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One session's settings."""

    model: ModelSettings
    recipes: tuple[str, ...]
    """Candidates, in the order given; the baseline is not among them."""
    baseline: str | None
    """Name of the recipe that the candidates are compared with; None for no comparison."""
    suites: tuple[str, ...]
    every_suite: bool = False
    """Whether the user asked for all suites: those whose data cannot be had are left out."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Which ones that are, and why."""
    recipe_files: Mapping[str, str] = field(default_factory=dict)
    """Where a recipe's name is not what defines it: the file that does."""
    baseline_file: Path | None = None
    """A saved baseline, which is read instead of run."""
    baseline_cached: bool = False
    """Whether the baseline may be taken from the cache, and is kept there."""
    baseline_force: bool = False
    """Whether a saved baseline may have been made under other conditions."""
    save_baseline: Path | None = None
    """Where the baseline is written to, if it is."""
    control: bool = False
    """Whether the baseline is run a second time, in another batch order, as the recipe `control`."""
    original: str | None = None
    """The model that the recipe `original` loads instead, where the baseline is another model."""
    benchmarks: tuple[str, ...] = ()
    """What suites that work on any benchmark ask; empty leaves that to the model."""
    perturbations: tuple[str, ...] = ()
    """Names, categories, levels or sets; empty is the set `screen`."""
    perturbation_seeds: int | None = None
    """How often each random perturbation is applied; None leaves that to the set."""
    prompt: PromptName = "auto"
    """Which prompt style the user asks for; auto: chat, where there is a chat template."""
    limit: int | None = None
    completions: Path | None = None
    """A samples file to replay instead of running a model."""
    selftest: bool = False
    """Whether the harness tests itself: no model answers, but reference solutions and broken ones."""
    data: Path | None = None
    gates: tuple[str, ...] = ()
    require_proof: bool = False
    strict: bool = False
    until_decided: bool = False
    """Whether a recipe is left when its gates are decided; cases are asked in a random order then."""
    output: Path | None = None
    """Where reports are written; None makes a new folder under `.qeval`."""
    export: Path | None = None
    """Where quantized checkpoints are written, if they are."""
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)

    @property
    def replays(self) -> bool:
        """Whether answers are known before, so that there is no model, and no speed to measure."""
        return self.selftest or self.completions is not None

    @property
    def all_recipes(self) -> tuple[str, ...]:
        """The baseline first, so that a candidate's regressions are known when it is judged; no name twice."""
        first = [self.baseline] if self.baseline else []
        return tuple(dict.fromkeys([*first, *([CONTROL] if self.control else []), *self.recipes]))

    @property
    def run_recipes(self) -> tuple[str, ...]:
        """Those that are run: all but a baseline that is read from the file that the user named."""
        return tuple(name for name in self.all_recipes if self.baseline_file is None or name != self.baseline)

    def definition_of(self, recipe: str) -> str:
        """Return what defines a recipe: its name, the file that holds it, or for the control the baseline's."""
        name = self.baseline if recipe == CONTROL and self.baseline else recipe
        return self.recipe_files.get(name, name)

    def model_of(self, recipe: str) -> ModelSettings:
        """Which model a recipe is applied to."""
        if self.definition_of(recipe) != "original" or self.original is None:
            return self.model
        return replace(self.model, name=self.original, revision=None)
