"""Teacher-forced scores by a server: as `engines.hf.scoring`, of the likeliest tokens that it lists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.engines.listed_scores import text_scores
from pytest_qeval.engines.openai.client import ServerClient
from pytest_qeval.engines.openai.forcing import Forcing
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.topk import DEFAULT_K, Scores, TextScores, digest


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
