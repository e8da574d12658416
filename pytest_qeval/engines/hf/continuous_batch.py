"""The continuous batch: prompts join as rows become free, rows leave as soon as they are finished."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pytest_qeval.engines.hf.decoder import Decoder, pick_group
from pytest_qeval.engines.hf.drafting import LONGEST_DRAFT, draft_length
from pytest_qeval.engines.hf.forward import BatchModel, Prefilled
from pytest_qeval.engines.hf.rows import Row, Text, Unit
from pytest_qeval.settings import GenerationSettings

__all__ = ["BatchShape", "ContinuousBatch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchShape:
    """How wide the batch is and how prompts are gathered for it."""

    rows: int
    """Sequences that are decoded together."""
    group_prompts: int = 8
    """Prompts that are prefilled together at most; also how many rows must be free before decoding pauses for it."""
    group_tokens: int = 1024
    """Padded tokens of one prefill at most, unless one prompt alone is longer."""
    window: int = 32
    """Prompts at the head of the queue among which a group of similar lengths is sought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A sample whose prompt is prefilled and that waits for a free row."""

    unit: Unit
    prefilled: Prefilled
    admitted_at: float


class ContinuousBatch(Decoder):
    """Decodes a queue of requests through a model, many rows at a time."""

    def __init__(
        self,
        model: BatchModel,
        text: Text,
        generation: GenerationSettings,
        *,
        shape: BatchShape,
        context: int,
        target_room: int | None = None,
    ) -> None:
        """Take the model with its cache, the tokenizer's side, what the user asked for, and the room; see `Decoder`."""
        super().__init__(text, generation, context=context, target_room=target_room)
        self._model = model
        self._shape = shape
        self._restart()

    def _restart(self) -> None:
        self._waiting: deque[tuple[Unit, ...]] = deque()
        self._ready: deque[_Ready] = deque()
        self._live: list[Row] = []
        self._capacity = 0

    def _enqueue(self, units: tuple[Unit, ...]) -> None:
        self._waiting.append(units)
        # Of the whole queue: caches that grow again and again leave holes in the heap, in which nothing larger fits.
        longest = len(units[0].prompt_ids) + units[0].max_new_tokens + LONGEST_DRAFT
        self._capacity = max(self._capacity, longest)

    def _work(self) -> None:
        free = self._shape.rows - len(self._live)
        wanted = min(self._shape.group_prompts, len(self._waiting), self._shape.rows)
        if self._waiting and not self._ready and free >= wanted:
            self._prefill(wanted)
        elif self._live:
            self._decode()
        self._join()

    def _prefill(self, count: int) -> None:
        started = time.perf_counter()
        window = list(self._waiting)[: self._shape.window]
        picked = pick_group(
            [len(units[0].prompt_ids) for units in window], count=count, tokens=self._shape.group_tokens
        )
        group = [window[at] for at in picked]
        prefilled = self._model.prefill([units[0].prompt_ids for units in group])
        for at in reversed(picked):
            del self._waiting[at]
        for units, prompt in zip(group, prefilled, strict=True):
            self._prompt_tokens += prompt.prefix.length
            self._ready.extend(_Ready(unit=unit, prefilled=prompt, admitted_at=started) for unit in units)

    def _join(self) -> None:
        """Let prefilled samples take free rows; their first token comes from the prompt's own logits."""
        count = min(self._shape.rows - len(self._live), len(self._ready))
        if not count:
            return
        joining = [self._ready.popleft() for _ in range(count)]
        rows = [self._row(ready.unit, ready.admitted_at) for ready in joining]
        tokens = self._choose(torch.stack([ready.prefilled.logits for ready in joining]), rows)
        for ready, row, token in zip(joining, rows, tokens, strict=True):
            self._append(row, token)
            if row.reason:
                self._finish(row)
                continue
            self._model.cache.place(len(self._live), ready.prefilled.prefix, capacity=self._capacity)
            self._live.append(row)

    def _decode(self) -> None:
        """Advance every row by a token, or by several where it guessed them right."""
        guesses = self._guess()
        padded = max(map(len, guesses))
        fed = [
            [row.ids[-1], *guess, *[0] * (padded - len(guess))] for row, guess in zip(self._live, guesses, strict=True)
        ]
        self._confirm(self._model.advance([row.cached_tokens for row in self._live], fed), guesses)
        self._leave()

    def _guess(self) -> list[list[int]]:
        """Guess tokens for every row; all empty where guessing would not pay, or the model could not take them."""
        if not self._model.drafts:
            return [[] for _ in self._live]
        guesses = [row.drafter.draft() for row in self._live]
        rates = [row.drafter.rate for row, guess in zip(self._live, guesses, strict=True) if guess]
        length = draft_length(rates, len(self._live))
        return [guess[:length] for guess in guesses]

    def _confirm(self, logits: torch.Tensor, guesses: Sequence[Sequence[int]]) -> None:
        """Append what the model chooses ([rows, queries, vocabulary]), as far as each row's guess was the same."""
        confirmed = [0] * len(guesses)
        active = list(range(len(guesses)))
        for at in range(logits.shape[1]):
            chosen = logits[:, at] if len(active) == len(guesses) else logits[active, at]
            tokens = self._choose(chosen, [self._live[row] for row in active])
            for row, token in zip(active, tokens, strict=True):
                self._append(self._live[row], token)
                confirmed[row] += at < len(guesses[row]) and guesses[row][at] == token
            active = [row for row in active if confirmed[row] > at and not self._live[row].reason]
            if not active:
                break
        for live, guess, count in zip(self._live, guesses, confirmed, strict=True):
            live.drafter.learn(count, len(guess))

    def _leave(self) -> None:
        """Take finished rows out; the last live row moves into each hole, so that rows stay contiguous."""
        for at in range(len(self._live) - 1, -1, -1):
            row = self._live[at]
            if not row.reason:
                continue
            self._finish(row)
            last = self._live.pop()
            if last is not row:
                self._model.cache.move(len(self._live), at, length=last.cached_tokens)
                self._live[at] = last
