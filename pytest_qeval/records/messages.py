"""Messages from the processes that run tests to the session: one tagged union for processes, journals and baselines.

A message is a frozen value. As plain data it is an object whose `type` names its class. `checks` reads such objects
from files, which may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import msgspec

from pytest_qeval.facts import (
    BenchmarkFacts,
    CaseFields,
    GateDecision,
    GenerationFacts,
    InvalidCase,
    PerturbationFacts,
    RecipeFacts,
    RunHeader,
    SensitivityFacts,
    StreamFacts,
    TimelineFacts,
)
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.memory_facts import BudgetFacts, MemoryFacts
from pytest_qeval.measure.timing_facts import BlockEnergyFacts, ProblemTimingFacts, TimingFacts
from pytest_qeval.measure.topk import Scores, TextScores
from pytest_qeval.schema import Completion, Execution, FinishReason, Json, Outcome, Record, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart(RunHeader):
    """The first line of a journal."""

    planned: int
    """Number of (recipe, case) pairs."""

    @property
    def header(self) -> RunHeader:
        """The header alone."""
        return RunHeader(**{one.name: getattr(self, one.name) for one in fields(RunHeader)})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCase(CaseFields):
    """A case and the recipe that it is planned for."""

    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGate:
    """A gate of a run; see `verdict.gates.grammar.Gate`, of which `expression` gives all other fields."""

    expression: str
    recipe: str | None = None
    benchmark: str | None = None
    require_proof: bool | None = None
    reason: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is going to evaluate, and under which conditions: the second line of a journal."""

    candidates: tuple[str, ...]
    baseline: str | None
    control: str | None
    conditions: Mapping[str, Any]
    """Those of `verdict.baseline.key`."""
    cases: tuple[PlannedCase, ...]
    gates: tuple[PlannedGate, ...] = ()
    require_proof: bool = False
    allow_missing: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else has to be equal for a run to be resumed; see `config.resume`. Empty in files of older versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """A run goes on after it was cut short; what was measured before holds only where it need not be timed together."""

    at: str
    """ISO 8601, UTC."""
    records: int
    """That were there already."""
    earlier_s: float
    """Duration of the part before: up to its end, or to its last line where it has none."""
    cut: tuple[str, ...] = ()
    """Recipes that were generating: what their generation costs is known of the part after only."""
    changed: tuple[str, ...] = ()
    """Conditions that costs depend on and that are others now; then no cost of an earlier part is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """The last line of a journal, unless the run was killed."""

    duration_s: float
    """Of all parts of the run."""
    interrupted: bool = False
    """Whether the run was cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineScores:
    """A baseline's log-probabilities on the solutions of a benchmark's problems; see `Scores`."""

    recipe: str
    benchmark: str
    k: int
    texts: tuple[TextScores, ...]
    incomparable: tuple[str, ...]
    duration_s: float

    @classmethod
    def of(cls, recipe: str, benchmark: str, scores: Scores) -> BaselineScores:
        """Name the recipe and the benchmark that scores belong to."""
        return cls(
            recipe=recipe,
            benchmark=benchmark,
            k=scores.k,
            texts=tuple(scores.texts.values()),
            incomparable=scores.incomparable,
            duration_s=scores.duration_s,
        )

    @property
    def scores(self) -> Scores:
        """The scores alone."""
        texts = {text.task_id: text for text in self.texts}
        return Scores(k=self.k, texts=texts, incomparable=self.incomparable, duration_s=self.duration_s)


RecipeMessage = (
    Record
    | RecipeFacts
    | GenerationFacts
    | StreamFacts
    | TimingFacts
    | ProblemTimingFacts
    | SensitivityFacts
    | DivergenceFacts
    | MemoryFacts
    | BudgetFacts
    | BlockEnergyFacts
    | BaselineScores
    | GateDecision
)
"""Messages about one recipe."""
Message = (
    RecipeMessage
    | TimelineFacts
    | BenchmarkFacts
    | PerturbationFacts
    | InvalidCase
    | RunStart
    | Plan
    | RunResumed
    | RunEnd
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SampleLine:
    """A `Sample` as it is written: flat."""

    n_tokens: int | None
    finish_reason: FinishReason
    ttft_s: float | None
    duration_s: float | None
    completion: str
    program_sha256: str
    execution: Execution
    extracted: str | None = None
    """Written only where the program does not hold the whole completion."""
    is_program: bool = False
    """Written only where it is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine(CaseFields):
    """A `Record` as it is written: flat."""

    recipe: str
    samples: tuple[_SampleLine, ...]
    outcome: Outcome
    """Follows from the samples."""
    worker: str
    measurements: dict[str, float]
    prompt_diff: str = ""
    """Written only for perturbed cases."""
    disturbance: str = ""
    """Name of `prompt_diff` before version 0.2, whose first line was `--- undisturbed`."""

    def to_record(self) -> Record:
        """Return the record."""
        return Record(
            recipe=self.recipe,
            case=self.case,
            samples=tuple(map(_sample, self.samples)),
            worker=self.worker,
            measurements=self.measurements,
            prompt_diff=self.prompt_diff or self.disturbance.replace("--- undisturbed", "--- nominal", 1),
        )


WIRE_TYPES: Mapping[str, type] = {
    "record": RecordLine,
    "recipe": RecipeFacts,
    "generation": GenerationFacts,
    "stream": StreamFacts,
    "timeline": TimelineFacts,
    "timing": TimingFacts,
    "block_energy": BlockEnergyFacts,
    "problem_timing": ProblemTimingFacts,
    "sensitivity": SensitivityFacts,
    "divergence": DivergenceFacts,
    "memory": MemoryFacts,
    "budget": BudgetFacts,
    "scores": BaselineScores,
    "decision": GateDecision,
    "benchmark": BenchmarkFacts,
    "perturbation": PerturbationFacts,
    "invalid": InvalidCase,
    "run": RunStart,
    "plan": Plan,
    "resumed": RunResumed,
    "end": RunEnd,
}
"""What the plain form of each type of message holds besides its `type`."""
_NAMES = {wire_type: name for name, wire_type in WIRE_TYPES.items()} | {Record: "record"}


def to_plain(message: Message) -> Json:
    """Return a message as dicts, lists, strings, numbers, booleans and None, the only values that execnet takes."""
    body = _record_row(message) if isinstance(message, Record) else msgspec.to_builtins(message, enc_hook=_to_builtin)
    return {"type": _NAMES[type(message)], **body}


def _to_builtin(value: Any) -> Any:
    """Return a number or a text of a subclass, such as an engine of another package may report, as the plain type."""
    for builtin in (bool, int, float, str):
        if isinstance(value, builtin):
            return builtin(value)
    if callable(item := getattr(value, "item", None)):  # a scalar of numpy or torch
        return item()
    raise TypeError(f"{value!r} cannot be written: expected plain values.")


def from_plain(row: Json) -> Message:
    """Read what `to_plain` of this version returned, without further checks."""
    body: Message | RecordLine = msgspec.convert(row, WIRE_TYPES[row["type"]])
    return body.to_record() if isinstance(body, RecordLine) else body


def recipe_of(message: RecipeMessage) -> str:
    """Return the name of the recipe that a message is about."""
    return message.name if isinstance(message, RecipeFacts) else message.recipe


def _record_row(record: Record) -> Json:
    row = {
        **asdict(record.case),
        "recipe": record.recipe,
        "samples": [_sample_row(sample) for sample in record.samples],
        "outcome": record.outcome,
        "worker": record.worker,
        "measurements": dict(record.measurements),
    }
    return {**row, "prompt_diff": record.prompt_diff} if record.prompt_diff else row


def _sample_row(sample: Sample) -> Json:
    row: Json = {**asdict(sample.completion), "program_sha256": sample.program_sha256}
    if not row["is_program"]:
        del row["is_program"]
    row |= {"completion": row.pop("text"), "execution": asdict(sample.execution)}
    return row if sample.extracted is None else {**row, "extracted": sample.extracted}


def _sample(line: _SampleLine) -> Sample:
    completion = Completion(
        text=line.completion,
        n_tokens=line.n_tokens,
        finish_reason=line.finish_reason,
        ttft_s=line.ttft_s,
        duration_s=line.duration_s,
        is_program=line.is_program,
    )
    return Sample(
        completion=completion,
        program_sha256=line.program_sha256,
        execution=line.execution,
        extracted=line.extracted,
    )
