"""The continuous batch: prompts join as rows become free, rows leave as soon as they are finished."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice

import torch

from pytest_qeval.engines.hf.cache import Prefilled
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.drafts import MAX_DRAFT_TOKENS, choose_draft_length
from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoderBatchModel
from pytest_qeval.engines.hf.forward import CausalBatchModel
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.rows import PendingSample, Row
from pytest_qeval.settings import GenerationSettings
from pytest_qeval.stats.forecast import WorkLeft


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchShape:
    """How wide the batch is and how prompts are gathered for it."""

    rows: int
    """Sequences that are decoded together."""
    group_prompts: int = 8
    """Prompts that are prefilled together at most; also how many rows must be free before decoding pauses for it."""
    group_tokens: int = 1024
    """Computed tokens of one prefill at most, padding included, unless one prompt alone has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A sample whose prompt is prefilled and that waits for a free row."""

    sample: PendingSample
    prefilled: Prefilled
    admitted_at: float


def batch_model(language_model: LanguageModel, *, rows: int) -> CausalBatchModel | EncoderDecoderBatchModel:
    """Join a model and an empty cache of so many rows."""
    model, both = language_model.model, language_model.encoder_decoder
    if both:
        return EncoderDecoderBatchModel(model, rows=rows, both=both)
    return CausalBatchModel(model, rows=rows, scheme=language_model.cache_scheme)


class ContinuousBatch(Decoder):
    """Decodes a queue of requests, many rows at a time."""

    def __init__(self, language_model: LanguageModel, generation: GenerationSettings, *, shape: BatchShape) -> None:
        """Take the model, the user's settings, and the batch's shape."""
        super().__init__(language_model, generation, rows=shape.rows)
        self._shape = shape
        self._model = batch_model(language_model, rows=shape.rows)

    def _narrow(self) -> None:
        """Begin with an empty cache of fewer rows, and read fewer prompts together."""
        shape = self._shape
        self._shape = replace(
            shape,
            rows=self.rows,
            group_prompts=max(1, shape.group_prompts // 2),
            group_tokens=max(1, shape.group_tokens // 2),
        )
        self._model = batch_model(self._language_model, rows=self.rows)

    @property
    def cache_bytes(self) -> int:
        """Bytes of the tensors that hold all rows' keys and values."""
        return self._model.cache.nbytes

    def _restart(self) -> None:
        self._waiting: deque[tuple[PendingSample, ...]] = deque()
        self._ready: deque[_Ready] = deque()
        self._live: list[Row] = []
        self._capacity = 0

    def _enqueue(self, samples: tuple[PendingSample, ...]) -> None:
        self._waiting.append(samples)
        # Room for the whole queue: caches that grow again and again leave holes in the heap that nothing larger fits.
        longest = len(samples[0].prompt_ids) + samples[0].max_new_tokens + MAX_DRAFT_TOKENS
        self._capacity = max(self._capacity, longest)

    def _work(self) -> None:
        free = self._shape.rows - len(self._live)
        wanted = min(self._shape.group_prompts, len(self._waiting), self._shape.rows)
        started, before, rows = time.perf_counter(), self._new_tokens, len(self._live)
        if self._waiting and not self._ready and free >= wanted:
            self._prefill(wanted)
            self._join()
            self._prefill_s += time.perf_counter() - started
        elif self._live:
            self._decode()
            tokens = self._new_tokens - before
            self._join()
            self._count_step(rows, tokens, time.perf_counter() - started)
        else:
            self._join()

    def work_left(self) -> WorkLeft:
        """Return what a forecast of the time left needs."""
        return self._work_left(self._waiting, rows=self._shape.rows, ready=len(self._ready), live=self._live)

    def _prefill(self, count: int) -> None:
        started = time.perf_counter()
        picked = self._pick(count)
        group = [self._waiting[at] for at in picked]
        firsts = [samples[0] for samples in group]
        prefilled = self._model.prefill([one.prompt_ids for one in firsts], [one.shared_tokens for one in firsts])
        for at in reversed(picked):
            del self._waiting[at]
        for samples, prompt in zip(group, prefilled, strict=True):
            self._prompt_tokens += prompt.length
            self._ready.extend(_Ready(sample=sample, prefilled=prompt, admitted_at=started) for sample in samples)

    def _pick(self, count: int) -> list[int]:
        """Pick the first prompt of the queue, and the next ones of its group as far as they fit: indices, ascending."""
        lengths = [self._computed_tokens(samples[0]) for samples in self._waiting]
        group = self._model.group(lengths[0])
        own = (at for at, length in enumerate(lengths) if self._model.group(length) == group)
        picked = list(islice(own, count))
        totals = accumulate(self._model.padded_length(lengths[at]) for at in picked)
        fitting = sum(total <= self._shape.group_tokens for total in totals)
        return picked[: max(1, fitting)]

    def _computed_tokens(self, sample: PendingSample) -> int:
        """Return how many tokens of a prompt are prefilled: without those that it shares, where they are kept."""
        return len(sample.prompt_ids) - self._model.shares_prefixes * sample.shared_tokens

    def _join(self) -> None:
        """Let prefilled samples take free rows; their first token comes from the prompt's own logits."""
        count = min(self._shape.rows - len(self._live), len(self._ready))
        if not count:
            return
        joining = [self._ready.popleft() for _ in range(count)]
        rows = [self._row(ready.sample, ready.admitted_at) for ready in joining]
        tokens = self._choose(torch.stack([ready.prefilled.logits for ready in joining]), rows)
        for ready, row, token in zip(joining, rows, tokens, strict=True):
            self._append(row, token)
            if row.reason:
                self._finish(row)
                continue
            self._model.cache.place(len(self._live), ready.prefilled, capacity=self._capacity)
            self._live.append(row)

    def _decode(self) -> None:
        """Advance every row by one token, and by its draft tokens as far as the model confirms them."""
        drafts = self._draft()
        width = max(map(len, drafts))
        fed = [
            [row.ids[-1], *draft, *[0] * (width - len(draft))] for row, draft in zip(self._live, drafts, strict=True)
        ]
        self._verify(self._model.advance([row.cached_tokens for row in self._live], fed), drafts)
        self._remove_finished()

    def _draft(self) -> list[list[int]]:
        """Draft tokens for every row; all empty where drafts would not pay, or the model cannot take them."""
        if not self._model.supports_drafts:
            return [[] for _ in self._live]
        drafts = [row.drafts.draft() for row in self._live]
        rates = [row.drafts.rate for row, draft in zip(self._live, drafts, strict=True) if draft]
        length = choose_draft_length(rates, len(self._live))
        return [draft[:length] for draft in drafts]

    def _verify(self, logits: torch.Tensor, drafts: Sequence[Sequence[int]]) -> None:
        """Append the tokens that the model chooses ([rows, queries, vocabulary]), as far as each row's draft agrees."""
        accepted = [0] * len(drafts)
        active = list(range(len(drafts)))
        for at in range(logits.shape[1]):
            chosen = logits[:, at] if len(active) == len(drafts) else logits[active, at]
            tokens = self._choose(chosen, [self._live[row] for row in active])
            for row, token in zip(active, tokens, strict=True):
                self._append(self._live[row], token)
                accepted[row] += at < len(drafts[row]) and drafts[row][at] == token
            active = [row for row in active if accepted[row] > at and not self._live[row].reason]
            if not active:
                break
        for live, draft, count in zip(self._live, drafts, accepted, strict=True):
            live.drafts.update_rate(count, len(draft))

    def _remove_finished(self) -> None:
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
