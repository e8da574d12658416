"""Teacher-forced scores by a server: as `engines.hf.scoring`, of the likeliest tokens that it lists."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.engines.openai.client import ServerClient
from pytest_qeval.engines.openai.forcing import Forcing, TokenRow
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.topk import DEFAULT_K, LEAST_RATIO, Scores, TextScores, digest, kept_log_prob

_LEAST_TAIL = 1e-6
"""Servers round in float32, so that 1 minus the sum of listed probabilities is not known better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerScorer:
    """Scores texts by one server, some at a time."""

    client: ServerClient
    forcing: Forcing
    concurrency: int
    context_tokens: int | None = None
    """Of prompt and solution together; None where the server does not tell."""

    async def score(self, solutions: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        """Score solutions behind their prompts; see `ModelEngine.score`.

        A text is left out where it is longer than the context, where the server leaves tokens out, and where the
        baseline has seen other tokens.

        Raises:
            EngineError: when the server fails, or no text has the tokens of the baseline.
        """
        started = time.perf_counter()
        turn = asyncio.Semaphore(self.concurrency)

        async def take(solution: tuple[str, str, str]) -> TextScores | None:
            async with turn:
                return await self._score_text(*solution, against)

        tasks = [asyncio.ensure_future(take(solution)) for solution in solutions]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # those of a server that has failed
                task.cancel()
        texts = {one.task_id: one for one in found if one is not None}
        if against and against.texts and not texts:
            raise EngineError(
                f"none of {len(solutions)} texts has the tokens that the baseline has read: compare models with the "
                "same tokenizer (a GGUF file may have been converted with another one)"
            )
        return Scores(
            k=against.k if against else self._k,
            texts=texts,
            incomparable=tuple(task_id for task_id, _, _ in solutions if task_id not in texts),
            duration_s=time.perf_counter() - started,
            listed=self.forcing.listed,
        )

    @property
    def _k(self) -> int:
        return min(DEFAULT_K, self.forcing.listed)

    async def _score_text(self, task_id: str, prompt: str, solution: str, against: Scores | None) -> TextScores | None:
        """Score one text; None where it is left out."""
        known = against.texts.get(task_id) if against else None
        prompt_ids, solution_ids = await self._tokenize(prompt, solution)
        sha256 = digest((*prompt_ids, *solution_ids), len(prompt_ids))
        too_long = self.context_tokens is not None and len(prompt_ids) + len(solution_ids) >= self.context_tokens
        differs = known.tokens_sha256 != sha256 if known else against is not None
        if not (prompt_ids and solution_ids) or too_long or differs:
            return None
        rows = await self.forcing.score(self.client, prompt_ids, solution_ids)
        return None if rows is None else text_scores(task_id, sha256, rows, k=self._k, known=known)

    async def _tokenize(self, prompt: str, solution: str) -> tuple[list[int], list[int]]:
        """Return the tokens of a prompt and its solution, as `engines.hf.scoring.tokenize_solution` does."""
        prompt_ids = await self.forcing.tokenize(self.client, prompt)
        whole = await self.forcing.tokenize(self.client, prompt + solution)
        if whole[: len(prompt_ids)] == prompt_ids:
            return prompt_ids, whole[len(prompt_ids) :]
        return prompt_ids, await self.forcing.tokenize(self.client, solution, special=False)


def text_scores(
    task_id: str, tokens_sha256: str, rows: Sequence[TokenRow], *, k: int, known: TextScores | None
) -> TextScores:
    """Keep the `k` likeliest tokens of each row, or those of the baseline (`known`) that the server has listed."""
    if known:
        kept = [_known(row, ids) for row, ids in zip(rows, known.top_ids, strict=True)]
    else:
        kept = [_likeliest(row, k) for row in rows]
    return TextScores(
        task_id=task_id,
        tokens_sha256=tokens_sha256,
        choices=tuple(_likeliest(row, 1)[0] for row in rows),
        top_ids=tuple(map(tuple, kept)),
        top_log_probs=tuple(
            tuple(kept_log_prob(row.log_probs[token]) for token in ids) for row, ids in zip(rows, kept, strict=True)
        ),
        tail_log_probs=tuple(_tail(row, ids) for row, ids in zip(rows, kept, strict=True)),
        reference_log_probs=tuple(kept_log_prob(row.reference) for row in rows),
    )


def _likeliest(row: TokenRow, k: int) -> list[int]:
    """Return the likeliest tokens, without those that are very unlikely; of equals the first of the vocabulary."""
    ordered = sorted(row.log_probs, key=lambda token: (-row.log_probs[token], token))[:k]
    least = row.log_probs[ordered[0]] + math.log(LEAST_RATIO)
    return [token for token in ordered if row.log_probs[token] >= least]


def _known(row: TokenRow, token_ids: Sequence[int]) -> list[int]:
    return [token for token in token_ids if token in row.log_probs]


def _tail(row: TokenRow, kept: Sequence[int]) -> float:
    """Return the log-probability of all tokens but these."""
    rest = 1.0 - math.fsum(math.exp(row.log_probs[token]) for token in kept)
    return kept_log_prob(math.log(max(rest, _LEAST_TAIL)))
