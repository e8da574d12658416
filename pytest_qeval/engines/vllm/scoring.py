"""Teacher-forced scores by vLLM: log-probabilities of prompts that hold the solution."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_qeval.engines.listed_scores import LISTED, TokenRow, text_scores
from pytest_qeval.engines.vllm.prompts import Prompts
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.topk import DEFAULT_K, Scores, TextScores, digest

_AT_A_TIME = 8
"""Texts under way: vLLM makes an object of every token that it lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    task_id: str
    prompt_ids: list[int]
    solution_ids: list[int]
    known: TextScores | None

    @property
    def ids(self) -> list[int]:
        return [*self.prompt_ids, *self.solution_ids]

    @property
    def sha256(self) -> str:
        return digest(self.ids, len(self.prompt_ids))


def score_texts(
    prompts: Prompts,
    solutions: Sequence[tuple[str, str, str]],
    *,
    against: Scores | None,
    context_tokens: int,
    run: Callable[[Sequence[Sequence[int]], Any], list[Any]],
) -> Scores:
    """Score solutions behind their prompts; see `ModelEngine.score`.

    A text is left out where it is longer than the context, and where the baseline has seen other tokens.

    Args:
        prompts: Tokenizes.
        solutions: Task id, prompt and solution of each problem.
        against: The baseline's scores.
        context_tokens: Of prompt and solution together, with one token more, which vLLM generates.
        run: Runs prompts of token ids with `SamplingParams`, and returns vLLM's outputs.

    Raises:
        EngineError: when log-probabilities are no numbers, or no text has the tokens of the baseline.
    """
    from vllm import SamplingParams  # noqa: PLC0415 - imported lazily: it takes seconds

    started = time.perf_counter()
    texts = [text for one in solutions if (text := _text(prompts, one, against, context_tokens))]
    if against and against.texts and not texts:
        raise EngineError(
            f"none of {len(solutions)} texts has the tokens that the baseline has read: compare models with the same "
            "tokenizer"
        )
    parameters = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=LISTED)
    found: dict[str, TextScores] = {}
    for start in range(0, len(texts), _AT_A_TIME):
        part = texts[start : start + _AT_A_TIME]
        outputs = run([text.ids for text in part], parameters)
        found |= {text.task_id: _scores(text, one.prompt_logprobs) for text, one in zip(part, outputs, strict=True)}
    return Scores(
        k=against.k if against else DEFAULT_K,
        texts=found,
        incomparable=tuple(task_id for task_id, _, _ in solutions if task_id not in found),
        duration_s=time.perf_counter() - started,
        listed=LISTED,
    )


def _text(
    prompts: Prompts, solution: tuple[str, str, str], against: Scores | None, context_tokens: int
) -> _Text | None:
    """Tokenize one text; None where it is left out."""
    task_id, prompt_text, solution_text = solution
    prompt_ids, solution_ids = prompts.encode_solution(prompt_text, solution_text)
    known = against.texts.get(task_id) if against else None
    text = _Text(task_id=task_id, prompt_ids=prompt_ids, solution_ids=solution_ids, known=known)
    differs = known.tokens_sha256 != text.sha256 if known else against is not None
    too_long = len(text.ids) >= context_tokens
    return None if not (prompt_ids and solution_ids) or too_long or differs else text


def _scores(text: _Text, listed: Sequence[Any]) -> TextScores:
    """Make scores of vLLM's log-probabilities, one mapping from token id a position."""
    rows = [
        TokenRow(log_probs={int(key): one.logprob for key, one in row.items()}, reference=row[token].logprob)
        for token, row in zip(text.solution_ids, listed[len(text.prompt_ids) :], strict=True)
    ]
    if any(math.isnan(value) for row in rows for value in row.log_probs.values()):
        raise EngineError(f"{text.task_id}: the model's logits are not finite (NaN or inf), so it cannot be scored.")
    return text_scores(text.task_id, text.sha256, rows, k=DEFAULT_K, known=text.known)
