"""Plain `model.generate` for models whose cache cannot be kept row by row; slower, with the same completions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from pytest_qeval.engines.hf.decoder import Decoder, pick_group
from pytest_qeval.engines.hf.encoder import padded
from pytest_qeval.engines.hf.rows import Row, Text, Unit
from pytest_qeval.engines.hf.seq2seq import Sides
from pytest_qeval.settings import GenerationSettings

__all__ = ["GenerateQueue"]


class GenerateQueue(Decoder):
    """Decodes a queue of requests in groups of similar prompt length; a group lasts as long as its slowest row."""

    def __init__(
        self,
        model: Any,
        text: Text,
        generation: GenerationSettings,
        *,
        rows: int,
        context: int,
        sides: Sides | None = None,
    ) -> None:
        """Take a transformers model, the tokenizer's side, what the user asked for, and how many rows a group has.

        `sides` are those of a model with an encoder.
        """
        super().__init__(text, generation, context=context, target_room=sides.target_room if sides else None)
        self._model = model
        self._rows = rows
        self._sides = sides
        self._restart()

    def _restart(self) -> None:
        self._waiting: deque[Unit] = deque()

    def _enqueue(self, units: tuple[Unit, ...]) -> None:
        self._waiting.extend(units)

    def _work(self) -> None:
        """Generate one whole group: there is no smaller unit of work here."""
        if not self._waiting:
            return
        started = time.perf_counter()
        window = list(self._waiting)[: 4 * self._rows]
        lengths = [len(unit.prompt_ids) for unit in window]
        picked = pick_group(lengths, count=self._rows, tokens=self._rows * max(lengths))
        rows = [self._row(window[at], started) for at in picked]
        self._generate(rows)
        for at in reversed(picked):
            del self._waiting[at]
        for row in rows:
            self._prompt_tokens += len(row.unit.prompt_ids)
            self._finish(row)

    def _generate(self, rows: Sequence[Row]) -> None:
        self._model.generate(
            **self._inputs([row.unit.prompt_ids for row in rows]),
            max_new_tokens=max(row.unit.max_new_tokens for row in rows),
            do_sample=False,
            num_beams=1,
            logits_processor=LogitsProcessorList([_Chosen(self, rows)]),
            stopping_criteria=StoppingCriteriaList([_Finished(rows)]),
        )

    def _inputs(self, prompts: Sequence[tuple[int, ...]]) -> dict[str, Any]:
        """Pad prompts: on the left, where they are continued, and on the right for an encoder, which counts from 0."""
        if self._sides:
            ids, mask = padded(prompts, self._model.device)
            start = torch.tensor([self._sides.start] * len(prompts), device=ids.device)
            begun = {"decoder_input_ids": start, "decoder_start_token_id": self._sides.start[0]}
            return {"input_ids": ids, "attention_mask": mask, **begun}
        width = max(map(len, prompts))
        # any token will do for padding: it is masked
        ids = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts], device=self._model.device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        return {"input_ids": ids, "attention_mask": mask.to(ids.device)}

    def choose_next(self, scores: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """Choose, and book, the next token of every unfinished row of a group.

        Returns:
            Scores [rows, vocabulary] that leave `generate` no other choice.
        """
        live = [at for at, row in enumerate(rows) if row.reason is None]
        tokens = self._choose(scores[live], [rows[at] for at in live])
        for at, token in zip(live, tokens, strict=True):
            self._append(rows[at], token)
        only = torch.full_like(scores, -torch.inf)
        only[live, tokens] = 0.0
        # rows that are over are padded by `generate`; all their scores being equal is as good as any
        only[[at for at in range(len(rows)) if at not in live]] = 0.0
        return only


class _Chosen(LogitsProcessor):  # type: ignore[misc] # transformers is untyped here
    """Takes the choice of tokens out of `generate`'s hands, so that sampling is seeded row by row."""

    def __init__(self, queue: GenerateQueue, rows: Sequence[Row]) -> None:
        self._queue, self._rows = queue, rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        del input_ids
        return self._queue.choose_next(scores, self._rows)


class _Finished(StoppingCriteria):  # type: ignore[misc] # transformers is untyped here
    """Tells `generate` which rows are over."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        del scores
        return torch.tensor([row.reason is not None for row in self._rows], device=input_ids.device)
