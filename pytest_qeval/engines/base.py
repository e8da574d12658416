"""The interface of engines: a queue of prompts that is decoded ahead, one step at a time.

No thread owns an engine. A test item that waits for its completion calls `step` until it is there. All other requests
advance with it, and nothing is generated when no item waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError
from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.measure.topk import Scores
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Completion, EngineProgress, InfillingForm, Json, LoadingProgress
from pytest_qeval.settings import GenerationSettings, ModelSettings
from pytest_qeval.stats.forecast import WorkLeft


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt, to be completed `n_samples` times."""

    key: str
    """Unique in the engine's lifetime; returned with every completion."""
    prompt: str
    """The text that the completion continues."""
    user: str | None = None
    """The user message for the model's chat template; `prompt` is the assistant prefill then."""
    shared: str = ""
    """What `prompt`, or `user` where there is one, has in common with all other problems of the benchmark: how it
    begins. An engine may compute it once; it changes nothing but time."""
    stops: tuple[str, ...] = ()
    """Generation ends before the first of these strings, wherever the token borders fall."""
    benchmark: str = ""
    task_id: str = ""
    """The case's label: the problem's own id for a nominal case. A replay finds completions by it and the benchmark."""
    n_samples: int = 1
    max_new_tokens: int | None = None
    """The most that a completion of this benchmark needs; the session's limit holds as well."""
    expected: tuple[str, ...] = ()
    """What the samples will probably be, one text each; drafts of them change nothing but time."""
    seed: int = 0
    """Seeds the request's random generators together with the session's seed, independent of the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedCompletion:
    """One completion that has just been finished."""

    key: str
    index: int
    """Which sample of the request, from 0."""
    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCompletion:
    """One completion that the engine cannot generate, while it goes on with the others."""

    key: str
    index: int
    reason: str
    """One sentence for a person, without a full stop."""


def require_finished(step: Sequence[FinishedCompletion | FailedCompletion]) -> list[FinishedCompletion]:
    """Return what a step has finished, for a caller that needs all completions.

    Raises:
        EngineError: when the engine has given one of them up.
    """
    finished = []
    for one in step:
        if isinstance(one, FailedCompletion):
            raise EngineError(f"{one.key} has no completion: {one.reason}")
        finished.append(one)
    return finished


class Engine(Protocol):
    """Generates completions. Constructors load and quantize the model."""

    def submit(self, requests: Sequence[Request]) -> None:
        """Append requests to the queue; nothing is generated yet."""
        ...

    def step(self) -> Sequence[FinishedCompletion | FailedCompletion]:
        """Do one unit of work (one prefill group or one decoding step) and return the completions that it finished.

        An engine in another process works on by itself; its step waits for a moment.

        An exception that passes through `step`, including a timeout or Ctrl-C, loses no request: rows in flight return
        to the queue and are generated again by the next call.

        Raises:
            EngineError: when the engine cannot go on.
        """
        ...

    @property
    def progress(self) -> EngineProgress:
        """Counts so far."""
        ...

    def work_left(self) -> WorkLeft | None:
        """Return what a forecast of the time left needs; None where nothing has to be computed."""
        ...

    def close(self) -> None:
        """Free the model's memory and drop unfinished requests; calling it twice is fine."""
        ...


class ModelEngine(Engine, Protocol):
    """An engine with a model, which it can describe and, in this process, time and score."""

    def facts(self) -> Json:
        """Return those fields of `RecipeFacts` that only the loaded model knows, by name."""
        ...

    def prepare(self, workload: Workload) -> Callable[[], tuple[float, ...]]:
        """Return what does a workload once; queued requests wait meanwhile.

        It returns seconds, all of them spent on the device: of the one prefill, or of each step of decoding. It may be
        called until the engine is closed, and does the same each time.

        Raises:
            NoRoomError: when the workload does not fit in the model's context.
        """
        ...

    def score(self, solutions: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        """Return the log-probabilities of solutions after their prompts.

        Args:
            solutions: Task id, prompt and solution of each problem.
            against: The baseline's scores, whose tokens are scored instead of the model's own likeliest ones.

        Raises:
            EngineError: when the model gives logits that are not finite.
        """
        ...


class EngineSource(Protocol):
    """An engine before a model is loaded: what the registry holds."""

    name: str
    summary: str
    """One line for `--qeval-list engines`."""
    in_process: bool
    """Whether the model is loaded into this process: then it can be quantized, timed and scored, and its memory and
    energy are those of this process and machine."""

    def find(self, model: ModelSettings) -> ModelSource:
        """Find a model without loading it; this may ask the hub, so call it once a model.

        Raises:
            ModelSourceError: when there is no such model, or it cannot be loaded here.
            MissingPackageError: when the engine needs a package that is not installed.
        """
        ...

    def describe(self, source: ModelSource) -> Json:
        """Return the report's `run.model`: id, source, revision, how it is quantized, and what identifies the files.

        That is `commit` for a hub model, `weights_sha256` and `files_sha256` for a local one.
        """
        ...

    def conditions(self, model: ModelSettings) -> Json:
        """Return what completions depend on besides the model, the generation settings and the versions.

        Known before a model is loaded, such as the class of the device.
        """
        ...

    def has_chat_template(self, source: ModelSource) -> bool:
        """Return whether the model can be prompted with messages, without loading it."""
        ...

    def infilling_form(self, source: ModelSource, template: str | None) -> InfillingForm:
        """Return how the model is shown what follows a completion, without loading it.

        `template` is the user's; None takes the tokenizer's fill-in-the-middle tokens, or shows the prefix only.

        Raises:
            UsageError: when the template is not made of the tokenizer's tokens.
        """
        ...

    def open(
        self,
        source: ModelSource,
        recipe: Recipe,
        *,
        model: ModelSettings,
        generation: GenerationSettings,
        texts: CalibrationTexts | None,
        export: Path | None,
        on_loading: Callable[[LoadingProgress], None] = lambda _: None,
    ) -> ModelEngine:
        """Load a model and apply a recipe.

        Args:
            source: The model.
            recipe: Precision and quantization.
            model: Device, threads and batch size.
            generation: How completions are generated.
            texts: What static activations are calibrated on; given if and only if the recipe needs it.
            export: Where to write the quantized checkpoint, if anywhere.
            on_loading: Takes the progress meanwhile.
        """
        ...


@runtime_checkable
class BlockwiseSource(Protocol):
    """An engine that can quantize a single block of a model, for the suite `sensitivity`."""

    def sensitivity(
        self,
        source: ModelSource,
        recipe: Recipe,
        solutions: Sequence[tuple[str, str]],
        *,
        model: ModelSettings,
        texts: CalibrationTexts | None,
    ) -> SensitivityFacts:
        """Quantize one block at a time, and compare on prompts and their solutions."""
        ...
