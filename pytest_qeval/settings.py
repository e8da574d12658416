"""What the user asked for, parsed once and frozen. Nothing below reads an option or an environment variable."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

__all__ = ["ISOLATIONS", "ExecutionSettings", "GenerationSettings", "IsolationName", "ModelSettings", "Settings"]

IsolationName = Literal["auto", "bwrap", "namespace", "process"]
ISOLATIONS: tuple[IsolationName, ...] = get_args(IsolationName)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """How completions are generated; part of what makes two runs comparable."""

    n_samples: int = 1
    temperature: float = 0.0
    """0.0 is greedy decoding."""
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int = 0
    prompt_style: Literal["completion"] = "completion"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which model, who runs it, and where."""

    name: str
    """Hub id, directory, GGUF file or `demo`, as the user wrote it."""
    revision: str | None = None
    engine: str = "transformers"
    device: str = "auto"
    threads: int | None = None
    """CPU threads of the engine; None leaves torch's own choice."""
    batch_size: int | None = None
    """Rows of the decoding batch; None lets the engine choose by device and free memory."""


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
    limit: int | None = None
    completions: Path | None = None
    """A samples file to replay instead of running a model."""
    data: Path | None = None
    gates: tuple[str, ...] = ()
    require_proof: bool = False
    strict: bool = False
    output: Path | None = None
    """Where reports are written; None makes a new folder under `.qeval`."""
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)

    @property
    def all_recipes(self) -> tuple[str, ...]:
        """The baseline first, so that a candidate's regressions are known when it is judged; no name twice."""
        names = (self.baseline, *self.recipes) if self.baseline else self.recipes
        return tuple(dict.fromkeys(names))
