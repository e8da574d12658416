"""What an engine is: a queue of prompts that is decoded ahead, one step at a time, by whoever needs a completion next.

No thread owns an engine. A test item that waits for its completion calls `step` until it is there; all other requests
advance with it, and when nobody waits any more nothing is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_qeval.schema import Completion

__all__ = ["Engine", "EngineProgress", "Finished", "Request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt, to be completed `n_samples` times."""

    key: str
    """Unique in the engine's lifetime; comes back with every completion."""
    prompt: str
    stops: tuple[str, ...] = ()
    """Generation ends before the first of these strings, wherever the token borders fall."""
    n_samples: int = 1
    seed: int = 0
    """Seeds the request's own generators, so that its samples do not depend on its neighbours in the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One completion that has just been finished."""

    key: str
    index: int
    """Which sample of the request, from 0."""
    completion: Completion


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
        """Give the model's memory back; unfinished requests are dropped. Calling it twice is fine."""
        ...
