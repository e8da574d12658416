"""What every way of decoding shares: who is still owed a completion, what is finished, and what an exception costs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import groupby

import torch

from pytest_qeval.engines.base import EngineProgress, Finished, Request
from pytest_qeval.engines.hf.drafting import Drafter
from pytest_qeval.engines.hf.rows import Row, Text, Unit
from pytest_qeval.engines.hf.sampling import choose, sample_rng
from pytest_qeval.settings import GenerationSettings

__all__ = ["Decoder", "pick_group"]


class Decoder(ABC):
    """A queue of requests whose unfinished samples survive any exception; subclasses say how a step is done."""

    def __init__(
        self, text: Text, generation: GenerationSettings, *, context: int, target_room: int | None = None
    ) -> None:
        """Take the tokenizer's side, what the user asked for, and the model's context length in tokens.

        With an encoder the context is the prompt's alone, and `target_room` is how much the decoder may say.
        """
        self._text = text
        self._generation = generation
        self._context = context
        self._target_room = target_room
        # The one truth about what is owed: everything else can be rebuilt from it after an exception.
        self._open: dict[tuple[str, int], Unit] = {}
        self._outbox: list[Finished] = []
        self._total = self._finished = self._new_tokens = self._prompt_tokens = 0
        self._busy_s = 0.0

    @abstractmethod
    def _enqueue(self, units: tuple[Unit, ...]) -> None:
        """Append all samples of one request to the queue."""

    @abstractmethod
    def _work(self) -> None:
        """Do one unit of work, passing every row that ends to `_finish`."""

    @abstractmethod
    def _restart(self) -> None:
        """Forget queue and rows; what is owed is enqueued anew right after."""

    def submit(self, requests: Sequence[Request]) -> None:
        """Tokenize and queue requests; one whose prompt leaves no room is finished at once, empty."""
        prompts = self._text.ask(requests)
        for request, ids in zip(requests, prompts, strict=True):
            room = max(0, min(self._generation.max_new_tokens, self._room(len(ids))))
            units = tuple(
                Unit(request=request, index=index, prompt_ids=ids, max_new_tokens=room)
                for index in range(request.n_samples)
            )
            self._total += len(units)
            self._open.update({unit.name: unit for unit in units})
            if room:
                self._enqueue(units)
                continue
            for unit in units:
                self._finish(self._row(unit, time.perf_counter()))

    def step(self) -> Sequence[Finished]:
        """Do one unit of work and hand out what is finished; see `Engine.step`."""
        started = time.perf_counter()
        finished: list[Finished] = []
        try:
            self._work()
            finished, self._outbox = self._outbox, []
            self._finished += len(finished)
            self._busy_s += time.perf_counter() - started
        except BaseException:
            self._outbox = finished or self._outbox
            self._recover()
            raise
        return finished

    @property
    def progress(self) -> EngineProgress:
        """Counts so far."""
        return EngineProgress(
            finished=self._finished,
            total=self._total,
            new_tokens=self._new_tokens,
            prompt_tokens=self._prompt_tokens,
            busy_s=self._busy_s,
        )

    def _room(self, prompt_tokens: int) -> int:
        """Return the tokens that the model has positions for behind, or with an encoder besides, such a prompt."""
        if self._target_room is None:
            return self._context - prompt_tokens
        return self._target_room if prompt_tokens <= self._context else 0

    def _recover(self) -> None:
        """Begin again with whatever is still owed, in the order it was asked for."""
        delivered = {(finished.key, finished.index) for finished in self._outbox}
        self._finished = self._total - len(self._open.keys() | delivered)
        self._open = {name: unit for name, unit in self._open.items() if name not in delivered}
        self._restart()
        for _, units in groupby(self._open.values(), key=lambda unit: unit.request.key):
            self._enqueue(tuple(units))

    def _row(self, unit: Unit, admitted_at: float) -> Row:
        rng = sample_rng(self._generation.seed, unit.request.seed, unit.index)
        return Row(unit=unit, rng=rng, drafter=Drafter(unit.prompt_ids), admitted_at=admitted_at)

    def _choose(self, logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
        settings = self._generation
        rngs = [row.rng for row in rows]
        return choose(logits, rngs, temperature=settings.temperature, top_p=settings.top_p)

    def _append(self, row: Row, token: int) -> None:
        self._new_tokens += 1
        self._text.append(row, token)
        row.drafter.append(token)

    def _finish(self, row: Row) -> None:
        self._outbox.append(self._text.finish(row))
        self._open.pop(row.unit.name, None)


def pick_group(lengths: Sequence[int], *, count: int, tokens: int) -> list[int]:
    """Pick prompts of similar length: the first of the queue always, then its neighbours in the order of length.

    Taking the first keeps the order of finishing close to the queue's; taking neighbours keeps padding small.

    Args:
        lengths: Prompt lengths in tokens, at the head of the queue.
        count: Prompts to pick at most.
        tokens: Padded tokens (prompts × longest) at most, unless the first prompt alone is longer.

    Returns:
        Ascending indices into `lengths`, the first being 0.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    low = high = order.index(0)
    while high - low + 1 < count:
        beside = [at for at in (low - 1, high + 1) if 0 <= at < len(order)]
        fitting = [at for at in beside if lengths[order[max(at, high)]] * (high - low + 2) <= tokens]
        if not fitting:
            break
        nearest = min(fitting, key=lambda at: abs(lengths[order[at]] - lengths[0]))
        low, high = min(low, nearest), max(high, nearest)
    return sorted(order[low : high + 1])
