"""The values that travel through the whole program, frozen and plain.

A problem is asked, a completion answers it, a program is executed, a record keeps what happened. Everything here can be
turned into JSON-ready dicts (`to_dict`) and back (`from_dict`), so that a record may ride on a test report between
processes and be read again from `records.jsonl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

__all__ = [
    "EXECUTION_STATUSES",
    "SCORES",
    "Case",
    "Completion",
    "EngineProgress",
    "Estimate",
    "Evidence",
    "Execution",
    "ExecutionStatus",
    "FinishReason",
    "Json",
    "Outcome",
    "Problem",
    "Program",
    "Prompt",
    "PromptStyle",
    "Quantity",
    "Record",
    "Sample",
    "Undefined",
    "quantity_to_dict",
]

Json = dict[str, Any]
"""A JSON object: plain dicts, lists, strings, numbers, booleans and None."""

ExecutionStatus = Literal[
    "passed", "failed", "error", "syntax", "timeout", "memory", "truncated", "empty", "tampered", "scored"
]
"""What became of one program, or that there was none.

passed: `check` returned. failed: an assertion of the test did not hold. error: the program raised. syntax: it does not
compile. timeout, memory: a limit was hit. truncated: generation ended at the token limit and the program did not pass.
empty: the completion holds no code. tampered: the program tried to forge its result or killed its judge. scored: the
answer is a text, which was compared with a reference and not executed.
"""
EXECUTION_STATUSES: tuple[ExecutionStatus, ...] = tuple(name for name in get_args(ExecutionStatus) if name != "scored")
"""Those that an execution can end with."""
SCORES = ("bleu", "chrf")
"""What the answer to a scored case is measured by, each from 0 to 1."""

FinishReason = Literal["stop", "eos", "length", "replay"]
"""Why generation ended: a stop string, the end-of-sequence token, the token limit, or read from a file."""

Evidence = Literal["worse", "not worse", "unproven"]
"""What an interval proves about a loss and its margin."""

Outcome = Literal["solved", "unsolved", "scored"]

PromptStyle = Literal["completion", "chat", "source"]
"""completion: the model goes on where the prompt ends. chat: it answers a message, through its own template. source: an
encoder reads the bare input, and a decoder begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One benchmark problem in HumanEval's fields."""

    benchmark: str
    task_id: str
    """The benchmark's own id, such as `HumanEval/0`."""
    prompt: str
    """What the model is asked to continue, exactly as it is given to the tokenizer."""
    entry_point: str
    """Name of the function that `prompt` begins and `test` calls."""
    test: str
    """Source that defines `check(candidate)`; empty where answers are scored and not executed."""
    canonical_solution: str
    """A completion that is known to pass, or the reference that answers are scored against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question, the same for every recipe: a problem, and how it is perturbed."""

    benchmark: str
    task_id: str
    perturbation: str | None = None
    seed: int = 0

    @property
    def label(self) -> str:
        """The part of a test id that names the case: `HumanEval/0`, `HumanEval/0-butter_fingers-s0`."""
        return self.task_id if self.perturbation is None else f"{self.task_id}-{self.perturbation}-s{self.seed}"

    def __repr__(self) -> str:
        """Be as short as the label: pytest and Allure print the repr of parameters."""
        return self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is given."""

    text: str
    """What the completion follows directly: in the chat style the beginning of the answer, put into its mouth."""
    user: str | None = None
    """The user's message in the chat style; None in the completion style."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What an engine generated for one prompt, cut at the first stop string."""

    text: str
    n_tokens: int | None
    """Generated tokens, the stop string's and the end-of-sequence token included; None when they are not known."""
    finish_reason: FinishReason
    ttft_s: float | None = None
    """Seconds from the request's admission to the batch (its prefill begins) to its first token."""
    duration_s: float | None = None
    """Seconds from admission to the last token, in a batch shared with other requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProgress:
    """Where an engine stands; counts are of completions (requests × samples), since the engine was made."""

    finished: int
    total: int
    new_tokens: int
    """Tokens generated so far, unfinished rows included."""
    prompt_tokens: int
    """Prompt tokens prefilled so far."""
    busy_s: float
    """Seconds spent inside `step`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A completion made executable, together with the test that judges it."""

    prelude: str
    """Trusted source (the prompt): the test may call helper functions that it defines."""
    code: str
    """Untrusted source: prompt and completion joined."""
    test: str
    """Trusted source that defines `check(candidate)`."""
    entry_point: str
    timeout_s: float | None = None
    """Seconds that it may take; None for the session's limit."""
    reference: str | None = None
    """Code known to pass, where the limit is to follow from how long that takes on this machine."""

    @property
    def follow_up(self) -> str:
        """What follows the prompt in the code: the completion, or the code of a chat answer."""
        return self.code.removeprefix(self.prelude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What happened when a program was executed."""

    status: ExecutionStatus
    duration_s: float
    """Seconds of wall clock in the sandbox; 0.0 where nothing had to be executed."""
    detail: str = ""
    """One line: exception type and message, the limit that was hit, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The i-th completion of a case, and its execution."""

    completion: Completion
    program_sha256: str
    execution: Execution
    extracted: str | None = None
    """What followed the prompt in the program, where that is not the completion itself: the code of a chat answer."""

    @property
    def code(self) -> str:
        """What followed the prompt in the program."""
        return self.completion.text if self.extracted is None else self.extracted

    def to_dict(self) -> Json:
        """Return the flat form of DESIGN's `records.jsonl`."""
        row = asdict(self.completion)
        row["completion"] = row.pop("text")
        extracted = {} if self.extracted is None else {"extracted": self.extracted}
        return {**row, **extracted, "program_sha256": self.program_sha256, "execution": asdict(self.execution)}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Sample:
        """Read what `to_dict` wrote."""
        names = ("n_tokens", "finish_reason", "ttft_s", "duration_s")
        return cls(
            completion=Completion(text=row["completion"], **{name: row[name] for name in names}),
            program_sha256=row["program_sha256"],
            execution=Execution(**row["execution"]),
            extracted=row.get("extracted"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything known about one case that one recipe has finished."""

    recipe: str
    case: Case
    samples: tuple[Sample, ...]
    worker: str = "main"
    measurements: Mapping[str, float] = field(default_factory=dict)
    """Of a scored case its `SCORES`, each the mean over the samples; nothing for others."""
    prompt_diff: str = ""
    """Unified diff of the nominal prompt to the one that was asked; empty where it was not perturbed."""

    @property
    def n_solved(self) -> int:
        """How many samples passed."""
        return sum(sample.execution.status == "passed" for sample in self.samples)

    @property
    def outcome(self) -> Outcome:
        """`solved` when at least one sample passed: with one greedy sample this is the problem's own outcome.

        `scored` where there was nothing to execute, however good or bad the scores are.
        """
        if any(sample.execution.status == "scored" for sample in self.samples):
            return "scored"
        return "solved" if self.n_solved else "unsolved"

    @property
    def reason(self) -> str:
        """Why the case is unsolved: the first sample's status and detail; empty when it is not."""
        if self.outcome != "unsolved":
            return ""
        execution = self.samples[0].execution
        return f"{execution.status}: {execution.detail}" if execution.detail else execution.status

    def to_dict(self) -> Json:
        """Return one line of `records.jsonl`, made of plain values only (execnet refuses anything else)."""
        return {
            "type": "record",
            "benchmark": self.case.benchmark,
            "task_id": self.case.task_id,
            "recipe": self.recipe,
            "perturbation": self.case.perturbation,
            "seed": self.case.seed,
            "samples": [sample.to_dict() for sample in self.samples],
            "outcome": self.outcome,
            "worker": self.worker,
            "measurements": dict(self.measurements),
            **({"prompt_diff": self.prompt_diff} if self.prompt_diff else {}),
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Record:
        """Read one line of `records.jsonl`."""
        names = ("benchmark", "task_id", "perturbation", "seed")
        return cls(
            recipe=row["recipe"],
            case=Case(**{name: row[name] for name in names}),
            samples=tuple(Sample.from_dict(sample) for sample in row["samples"]),
            worker=row["worker"],
            measurements=dict(row["measurements"]),
            prompt_diff=row.get("prompt_diff") or _renamed_diff(row.get("disturbance", "")),
        )


def _renamed_diff(diff: str) -> str:
    """Return a diff that a version before 0.2 wrote, under the words of today."""
    return diff.replace("--- undisturbed", "--- nominal", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number that never travels alone."""

    value: float
    low: float | None
    high: float | None
    n: int
    method: str
    confidence: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Undefined:
    """Not measurable, and why."""

    reason: str


Quantity = Estimate | Undefined


def quantity_to_dict(quantity: Quantity) -> Json:
    """Return the report's form: all fields of an estimate, or `{"undefined": reason}`."""
    if isinstance(quantity, Undefined):
        return {"undefined": quantity.reason}
    return asdict(quantity)
