"""What an engine is: a queue of prompts that is decoded ahead, one step at a time, by whoever needs a completion next.

No thread owns an engine. A test item that waits for its completion calls `step` until it is there; all other requests
advance with it, and when nobody waits any more nothing is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.measure.topk import Scores
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Completion, EngineProgress, Json
from pytest_qeval.settings import GenerationSettings, ModelSettings

__all__ = ["Engine", "EngineProgress", "EngineSource", "Finished", "ModelEngine", "Request", "StreamTimes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt, to be completed `n_samples` times."""

    key: str
    """Unique in the engine's lifetime; comes back with every completion."""
    prompt: str
    """What the completion follows directly."""
    user: str | None = None
    """The user's message, for the model's chat template; `prompt` is the beginning of the answer then."""
    stops: tuple[str, ...] = ()
    """Generation ends before the first of these strings, wherever the token borders fall."""
    benchmark: str = ""
    task_id: str = ""
    """The case's label (the problem's own id, where it is nominal), and its benchmark: a replay answers by them, a
    model ignores them."""
    n_samples: int = 1
    seed: int = 0
    """Seeds the request's own generators, together with the session's seed: neighbours in the batch do not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One completion that has just been finished."""

    key: str
    index: int
    """Which sample of the request, from 0."""
    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimes:
    """A single stream measured alone, after a warm-up: rounds of one prefill and then one token after the other."""

    prompt_tokens: int
    new_tokens: int
    prefill_s: tuple[float, ...]
    """One value a round."""
    decode_s: tuple[float, ...]
    """Seconds per token, one value a token, all rounds."""


class Engine(Protocol):
    """Who answers. Implementations are made ready to answer (loaded, quantized) by their own constructors."""

    def submit(self, requests: Sequence[Request]) -> None:
        """Append requests to the queue; nothing is generated yet."""
        ...

    def step(self) -> Sequence[Finished]:
        """Do one unit of work (a prefill group or one decoding step) and return what it finished, possibly nothing.

        An exception that passes through `step`, a timeout or Ctrl-C included, loses no request: rows that were in
        flight go back to the queue and are generated afresh by the next call.

        Raises:
            EngineError: when the engine cannot go on.
        """
        ...

    @property
    def progress(self) -> EngineProgress:
        """Counts so far."""
        ...

    def close(self) -> None:
        """Return the model's memory back; unfinished requests are dropped. Calling it twice is fine."""
        ...


class ModelEngine(Engine, Protocol):
    """An engine that has a model in this process, and can say what it is and how fast a single stream is."""

    def facts(self) -> Json:
        """Return those fields of `RecipeFacts` that only the loaded model knows, by name."""
        ...

    def measure_stream(self, *, prompt_tokens: int = 128, new_tokens: int = 32, rounds: int = 3) -> StreamTimes:
        """Measure prefill and decoding of one prompt at a time; queued requests wait meanwhile."""
        ...

    def score(self, solved: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        """Return the log-probabilities of solutions after their prompts: (task id, prompt, solution).

        Without `against` those of the likeliest tokens, with it those of the tokens that another model was asked for.

        Raises:
            EngineError: when the model cannot be shown text.
        """
        ...


class EngineSource(Protocol):
    """An engine before a model is loaded: what the registry holds."""

    name: str
    summary: str
    """One line for `--qeval-list engines`."""

    def find(self, model: ModelSettings) -> ModelSource:
        """Find a model without loading it; this may ask the hub, so call it once a model.

        Raises:
            ModelSourceError: when there is no such model, or it cannot be loaded here.
            MissingPackageError: when the engine needs a package that is not installed.
        """
        ...

    def describe(self, source: ModelSource) -> Json:
        """Return the report's `run.model`: id, source, revision and the checksums of local files."""
        ...

    def has_chat_template(self, source: ModelSource) -> bool:
        """Return whether the model can be asked by messages, without loading it."""
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
    ) -> ModelEngine:
        """Load a model and apply a recipe.

        Args:
            source: The model.
            recipe: Precision and quantization.
            model: Device, threads and batch size.
            generation: How completions are generated.
            texts: What static activations are calibrated on; given if and only if the recipe needs it.
            export: Where to write the quantized checkpoint, if anywhere.
        """
        ...

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
