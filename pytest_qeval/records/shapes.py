"""What messages in a file look like: the types that `messages` holds them against.

Where a message is a dataclass written by `asdict`, the dataclass is its shape; the others have a mirror here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from pytest_qeval.facts import GenerationFacts, PerturbationFacts, RecipeFacts, RunHeader, SensitivityFacts, StreamFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.topk import TextScores
from pytest_qeval.schema import Evidence, Execution, FinishReason, Outcome

__all__ = ["INSIDE", "SHAPES", "InRun"]


class _Extracted(TypedDict, total=False):
    extracted: str


class _Sample(_Extracted):
    """As `Sample.to_dict` writes it."""

    n_tokens: int | None
    finish_reason: FinishReason
    ttft_s: float | None
    duration_s: float | None
    completion: str
    program_sha256: str
    execution: Execution


class _OptionalInRecord(TypedDict, total=False):
    prompt_diff: str
    disturbance: str
    """What `prompt_diff` was called before 0.2."""


class _Record(_OptionalInRecord):
    """As `Record.to_dict` writes it."""

    benchmark: str
    task_id: str
    recipe: str
    perturbation: str | None
    seed: int
    samples: tuple[_Sample, ...]
    outcome: Outcome
    worker: str
    measurements: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Benchmark:
    name: str
    version: str
    sha256: str
    problems: int
    excluded: dict[str, str] = field(default_factory=dict)
    scored: bool = False


class _Case(TypedDict):
    recipe: str
    benchmark: str
    task_id: str
    perturbation: str | None
    seed: int


class _Invalid(TypedDict):
    """A perturbed case that is no question, and why."""

    benchmark: str
    task_id: str
    perturbation: str
    seed: int
    reason: str


class _Plan(TypedDict):
    candidates: tuple[str, ...]
    baseline: str | None
    control: str | None
    conditions: dict[str, Any]
    """What a run was going to ask."""

    cases: tuple[_Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run(RunHeader):
    planned: int


class _Layer(TypedDict):
    """What `layers.csv` shows of a layer."""

    name: str
    shape: tuple[int, int]
    bits: float
    granularity: str
    kept: bool
    execution: str
    bytes_before: int
    bytes_after: int


class _Calibration(TypedDict):
    duration_s: float


class _InRecipe(TypedDict, total=False):
    layers: tuple[_Layer, ...]
    calibration: _Calibration | None


class _Model(TypedDict):
    id: str


class _Generation(TypedDict, total=False):
    temperature: float


class _Origin(TypedDict):
    path: str
    started_at: str
    host: dict[str, Any]
    accepted_differences: tuple[str, ...]


class _SavedBaseline(TypedDict, total=False):
    saved_baseline: _Origin | None


class InRun(_SavedBaseline):
    """What has to be in a run's header."""

    model: _Model
    generation: _Generation


class _Scores(TypedDict):
    """As `Scores.to_dict` writes them, and whose they are."""

    recipe: str
    benchmark: str
    texts: tuple[TextScores, ...]
    incomparable: tuple[str, ...]
    k: int
    duration_s: float


class _Decision(TypedDict):
    """A `Decision`, and what was decided."""

    gate: str
    recipe: str
    benchmark: str
    outcome: Literal["pass", "fail"]
    evidence: Evidence
    reason: str


SHAPES: Mapping[str, type] = {
    "run": _Run,
    "plan": _Plan,
    "record": _Record,
    "recipe": RecipeFacts,
    "generation": GenerationFacts,
    "stream": StreamFacts,
    "sensitivity": SensitivityFacts,
    "divergence": DivergenceFacts,
    "decision": _Decision,
    "benchmark": _Benchmark,
    "perturbation": PerturbationFacts,
    "invalid": _Invalid,
}
"""What each type of message is made of, all of it."""
INSIDE: Mapping[str, type] = {"run": InRun, "recipe": _InRecipe, "scores": _Scores}
"""What has to be in those parts of a message that may hold more."""
