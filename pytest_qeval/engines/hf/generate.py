"""Plain `model.generate` for models whose cache cannot be kept row by row; slower, and not batch-invariant.

Prompts are padded to the longest of their group, so rounding may decide otherwise in another group.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList

from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.forward import pad_right
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.rows import PendingSample, Row
from pytest_qeval.settings import GenerationSettings
from pytest_qeval.stats.forecast import WorkLeft


class GenerateQueue(Decoder):
    """Decodes a queue of requests in groups of similar prompt length; a group lasts as long as its slowest row."""

    def __init__(self, language_model: LanguageModel, generation: GenerationSettings, *, rows: int) -> None:
        """Take the model, the user's settings, and the number of rows in a group."""
        super().__init__(language_model, generation, rows=rows)
        self._model = language_model.model
        self._marked_at = 0.0

    def _narrow(self) -> None:
        """Take smaller groups; `generate` makes a cache for each."""

    def _restart(self) -> None:
        self._waiting: deque[PendingSample] = deque()

    def _enqueue(self, samples: tuple[PendingSample, ...]) -> None:
        self._waiting.extend(samples)

    def _work(self) -> None:
        """Generate one whole group: `generate` has no smaller unit of work."""
        if not self._waiting:
            return
        started = time.perf_counter()
        window = list(self._waiting)[: 4 * self.rows]
        picked = pick_group([len(sample.prompt_ids) for sample in window], self.rows)
        rows = [self._row(window[at], started) for at in picked]
        self._generate(rows)
        for at in reversed(picked):
            del self._waiting[at]
        for row in rows:
            self._prompt_tokens += len(row.sample.prompt_ids)
            self._finish(row)

    def work_left(self) -> WorkLeft:
        """Return what a forecast of the time left needs; between groups there is no row under way."""
        return self._work_left(((sample,) for sample in self._waiting), rows=self.rows)

    def _generate(self, rows: Sequence[Row]) -> None:
        self._marked_at = time.perf_counter()
        self._model.generate(
            **self._inputs([row.sample.prompt_ids for row in rows]),
            max_new_tokens=max(row.sample.max_new_tokens for row in rows),
            do_sample=False,
            num_beams=1,
            logits_processor=LogitsProcessorList([lambda _, scores: self._choose_next(scores, rows)]),
            stopping_criteria=StoppingCriteriaList([lambda ids, _, **__: _finished(rows, ids.device)]),
        )

    def _inputs(self, prompts: Sequence[tuple[int, ...]]) -> dict[str, Any]:
        """Pad prompts on the left for a causal model, and on the right for an encoder, which counts from 0."""
        if encoder_decoder := self._language_model.encoder_decoder:
            ids, mask = pad_right(prompts, self._model.device)
            start = torch.tensor([encoder_decoder.start] * len(prompts), device=ids.device)
            decoder = {"decoder_input_ids": start, "decoder_start_token_id": encoder_decoder.start[0]}
            return {"input_ids": ids, "attention_mask": mask, **decoder}
        ids, mask = (one.flip(1) for one in pad_right([prompt[::-1] for prompt in prompts], self._model.device))
        return {"input_ids": ids, "attention_mask": mask}

    def _choose_next(self, scores: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """Choose and append the next token of every unfinished row of a group.

        Returns:
            Scores [rows, vocabulary] that leave `generate` no other choice.
        """
        live = [at for at, row in enumerate(rows) if row.reason is None]
        self._count_time(rows, len(live))
        tokens = self._choose(scores[live], [rows[at] for at in live])
        for at, token in zip(live, tokens, strict=True):
            self._append(rows[at], token)
        only = torch.full_like(scores, -torch.inf)
        only[live, tokens] = 0.0
        # `generate` pads finished rows, whatever their scores; they only have to be finite
        only[[at for at in range(len(rows)) if at not in live]] = 0.0
        return only

    def _count_time(self, rows: Sequence[Row], live: int) -> None:
        """Count the time since the last token as a step's, or before the first one as that of the prompts."""
        now = time.perf_counter()
        if rows[0].ids:
            self._count_step(len(rows), live, now - self._marked_at)
        else:
            self._prefill_s += now - self._marked_at
        self._marked_at = now


def pick_group(lengths: Sequence[int], count: int) -> list[int]:
    """Pick the first prompt of the queue and those whose lengths are nearest to its own: ascending indices.

    Taking the first keeps the order of finishing close to the queue's; taking similar ones keeps padding small.
    """
    nearest = sorted(range(len(lengths)), key=lambda at: (abs(lengths[at] - lengths[0]), lengths[at]))
    return sorted(nearest[:count])


def _finished(rows: Sequence[Row], device: torch.device) -> torch.Tensor:
    return torch.tensor([row.reason is not None for row in rows], device=device)
