"""The values that travel through the whole program, frozen and plain.

A problem becomes a prompt, a model returns a completion, the completion becomes a program, its execution ends up in a
record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Json = dict[str, Any]
"""A JSON object: plain dicts, lists, strings, numbers, booleans and None."""

ExecutionStatus = Literal[
    "passed",
    "failed",
    "error",
    "syntax",
    "timeout",
    "memory",
    "truncated",
    "empty",
    "tampered",
    "unsupported",
    "scored",
]
"""What became of one program, or that there was none.

passed: `check` returned. failed: an assertion of the test did not hold. error: the program raised. syntax: it does not
compile. timeout, memory: a limit was hit. truncated: generation ended at the token limit and the program did not pass.
empty: the completion holds no code. tampered: the program tried to forge its result or killed its judge. unsupported:
the test wants something of the program's result that only the program itself could say, which is a limit of this
harness and not the program's failure. scored: the completion is a text, which was compared with a reference and not
executed.
"""
EXECUTION_STATUSES: tuple[ExecutionStatus, ...] = tuple(name for name in get_args(ExecutionStatus) if name != "scored")
"""The statuses that an execution can have."""
SCORES = ("bleu", "chrf")
"""The scores of a completion that is compared with a reference, each from 0 to 1."""

FinishReason = Literal["stop", "eos", "length", "replay"]
"""Why generation ended: a stop string, the end-of-sequence token, the token limit, or read from a file."""

Evidence = Literal["worse", "not worse", "unproven"]
"""What an interval proves about a loss: greater than the margin, not greater, or neither."""

Outcome = Literal["solved", "unsolved", "unsupported", "scored"]

Language = Literal["python", "javascript"]
"""Of a problem's prompt and of the code that follows it; tests are Python in any case."""

HALF_LABEL = "half_given"
"""Stands in the label of a nominal case for the name of a perturbation; no perturbation is called so."""

PromptStyle = Literal["completion", "chat", "chat-prefilled", "source"]
"""completion: the model continues the prompt. chat: the prompt is a message in the model's chat template. source: an
encoder reads the bare input, and the decoder starts from nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One benchmark problem in HumanEval's fields."""

    benchmark: str
    task_id: str
    """The benchmark's own id, such as `HumanEval/0`."""
    prompt: str
    """The exact text that the model continues."""
    entry_point: str
    """Name of the function that `prompt` begins and `test` calls."""
    test: str
    """Source that defines `check(candidate)`; empty where completions are scored and not executed."""
    canonical_solution: str
    """A completion that is known to pass, or the reference that completions are scored against."""
    cluster: str = ""
    """What the problem shares with others, such as a module or a source function; empty where it stands alone."""
    language: Language = "python"
    suffix: str = ""
    """The text that follows the completion in the program; empty where the program ends with the completion."""

    def source(self, completion: str) -> str:
        """Return the program with a completion: prompt, completion and suffix joined, with nothing between them."""
        return f"{self.prompt}{completion}{self.suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One problem, nominal or perturbed: what every recipe is evaluated on."""

    benchmark: str
    task_id: str
    perturbation: str | None = None
    seed: int = 0
    half: bool = False
    """Whether the prompt of a nominal case also holds the first half of the solution; of no perturbed case."""

    @property
    def is_own(self) -> bool:
        """Whether the prompt is the benchmark's own: neither perturbed nor with half of the solution."""
        return self.perturbation is None and not self.half

    @property
    def label(self) -> str:
        """The part of a test id that names the case: `HumanEval/0`, `HumanEval/0-butter_fingers-s0`."""
        return self.task_id if self.is_own else f"{self.task_id}-{self.perturbation or HALF_LABEL}-s{self.seed}"

    def __repr__(self) -> str:
        """Return the label: pytest and Allure print the repr of parameters."""
        return self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The text that a model is given."""

    text: str
    """The text that the completion continues; in the chat style the assistant prefill."""
    user: str | None = None
    """The user's message in the chat style; None in the completion style."""
    suffix: str | None = None
    """The text that follows the completion, for an `InfillingForm` to show; None where completions end programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfillingForm:
    """How a model is shown the text on both sides of a completion."""

    template: str
    """The text that the completion continues, with `{prefix}` and perhaps `{suffix}` in place of the two sides."""
    stops: tuple[str, ...] = ()
    """Tokens that end a completion, besides the end-of-sequence tokens of the model."""

    @property
    def summary(self) -> str:
        """What a user has to know of the form, without a full stop."""
        if "{suffix}" not in self.template:
            return "prompts have no fill-in-the-middle tokens: the model sees the prefix only"
        return f"prompts are {self.template}"

    def fill(self, prompt: Prompt) -> str:
        """Return the template with both sides in place, all other braces untouched; without a suffix the bare text."""
        if prompt.suffix is None:
            return prompt.text
        sides = {"{prefix}": prompt.text, "{suffix}": prompt.suffix}
        return "".join(sides.get(part, part) for part in re.split(r"(\{prefix\}|\{suffix\})", self.template))


PREFIX_ONLY = InfillingForm(template="{prefix}")
"""The form for a model without fill-in-the-middle tokens: it does not see what follows."""


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
    is_program: bool = False
    """Whether the text is a whole program, such as evalplus' `solution`, and not what follows the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProgress:
    """Progress of an engine since it was made; counts are of completions (requests × samples)."""

    finished: int
    total: int
    new_tokens: int
    """Tokens generated so far, unfinished rows included."""
    prompt_tokens: int
    """Prompt tokens prefilled so far."""
    busy_s: float
    """Seconds spent inside `step`."""
    prefill_s: float = 0.0
    """Those in which prompts were read."""
    decode_s: float = 0.0
    """Those in which tokens were generated."""


NO_PROGRESS = EngineProgress(finished=0, total=0, new_tokens=0, prompt_tokens=0, busy_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingProgress:
    """Progress of loading a model."""

    action: str
    """Such as `loading 14.0 GB, quantizing to int8`."""
    share: float
    """Share of the weights that have been read, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An executable completion, together with the test that judges it."""

    prelude: str
    """Trusted source (the prompt): the test may call helper functions that it defines."""
    code: str
    """Untrusted source: prompt, completion and suffix joined."""
    test: str
    """Trusted source that defines `check(candidate)`."""
    entry_point: str
    timeout_s: float | None = None
    """Time limit in seconds; None for the session's limit."""
    memory_bytes: int | None = None
    """Memory limit; None for the session's limit."""
    reference: str | None = None
    """Code that is known to pass; what it needs on this machine then sets the limits."""
    is_reference: bool = False
    """Whether the code is itself such a reference, of which a test may note what it returns."""
    expected: bytes = b""
    """What the test noted of the reference's results, encoded; empty where it has to find out."""
    language: Language = "python"
    """Of the code; a prelude in another language than Python's only tells the code that the model wrote."""
    suffix: str = ""
    """What follows the completion in the code."""

    @property
    def follow_up(self) -> str:
        """The part of the code that the model wrote: the completion, or the code taken out of it."""
        end = len(self.code) - len(self.suffix)
        joined = self.code.startswith(self.prelude) and self.code.endswith(self.suffix) and len(self.prelude) <= end
        return self.code[len(self.prelude) : end] if joined else self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What happened when a program was executed."""

    status: ExecutionStatus
    duration_s: float
    """Seconds of wall clock in the sandbox; 0.0 where nothing had to be executed."""
    detail: str = ""
    """One line: exception type and message, the limit that was hit, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceExecution(Execution):
    """What happened when a reference was executed, of whose results the test took note."""

    expected: bytes
    """See `Program.expected`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The i-th completion of a case, and its execution."""

    completion: Completion
    program_sha256: str
    execution: Execution
    extracted: str | None = None
    """The code that was taken out of the completion; None where the whole completion was used."""

    @property
    def code(self) -> str:
        """The part of the program that the model wrote."""
        return self.completion.text if self.extracted is None else self.extracted


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The samples of one case under one recipe."""

    recipe: str
    case: Case
    samples: tuple[Sample, ...]
    worker: str = "main"
    measurements: Mapping[str, float] = field(default_factory=dict)
    """The `SCORES` of a scored case, each the mean over its samples; empty for other cases."""
    prompt_diff: str = ""
    """Unified diff from the nominal to the perturbed prompt; empty for a nominal case."""

    @property
    def n_solved(self) -> int:
        """How many samples passed."""
        return sum(sample.execution.status == "passed" for sample in self.samples)

    @property
    def outcome(self) -> Outcome:
        """`solved` when at least one sample passed, `scored` when nothing was executed, else `unsolved`.

        `unsupported` when a sample could not be judged: the share of passing samples is not known then.
        """
        for status in ("scored", "unsupported"):
            if any(sample.execution.status == status for sample in self.samples):
                return status
        return "solved" if self.n_solved else "unsolved"

    @property
    def reason(self) -> str:
        """Why the case is unsolved or unsupported: status and detail of the first such sample; empty for others."""
        if self.outcome not in {"unsolved", "unsupported"}:
            return ""
        executions = [sample.execution for sample in self.samples]
        execution = next((one for one in executions if one.status == "unsupported"), executions[0])
        return f"{execution.status}: {execution.detail}" if execution.detail else execution.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its interval, sample size and method."""

    value: float
    low: float | None
    high: float | None
    n: int
    method: str
    confidence: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Undefined:
    """A number that cannot be measured, with the reason."""

    reason: str


Quantity = Estimate | Undefined
