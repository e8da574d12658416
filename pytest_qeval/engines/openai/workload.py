"""What goes to a server and comes back, counted for progress and for the forecast of the time left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pytest_qeval.engines.openai.answer import Answer
from pytest_qeval.schema import Completion, EngineProgress
from pytest_qeval.stats.forecast import StepCosts, WorkLeft


@dataclass(kw_only=True, eq=False)
class Traffic:
    """Counts requests, tokens and time; pieces of a stream count as tokens until the server has counted."""

    concurrency: int
    """Requests at a time."""
    limit: int
    """Tokens of a completion, at most."""
    total: int = 0
    finished: int = 0
    """Those that were handed over."""
    _live: list[Answer] = field(default_factory=list)
    _lengths: list[int] = field(default_factory=list)
    _prompt_tokens: int = 0
    _busy_s: float = 0.0
    _stepped_s: float = 0.0
    _unpaid_s: float = 0.0
    """Of the steps since the last token."""
    _since: float = 0.0
    _steps: StepCosts = field(default_factory=StepCosts)
    _seen_tokens: int = 0

    def begin(self, answer: Answer) -> None:
        """Note that a request is sent."""
        if not self._live:
            self._since = time.perf_counter()
        self._live.append(answer)

    def end(self, answer: Answer, completion: Completion | None) -> None:
        """Note that it is answered; None where it failed, and nothing of it is counted."""
        self._live = [one for one in self._live if one is not answer]
        if not self._live:
            self._busy_s += time.perf_counter() - self._since
        if completion is not None:
            self._lengths.append(answer.chunks if completion.n_tokens is None else completion.n_tokens)
            self._prompt_tokens += answer.prompt_tokens or 0

    def step(self, duration_s: float) -> None:
        """Note how long a step of the engine took; one that brings no tokens is part of the next that does.

        The server reads prompts meanwhile, and answers to come will cost that time again.
        """
        rows, tokens = len(self._live), self.tokens
        self._stepped_s += duration_s
        self._unpaid_s += duration_s
        if rows and tokens > self._seen_tokens:
            self._steps.add(rows, tokens - self._seen_tokens, self._unpaid_s)
            self._seen_tokens, self._unpaid_s = tokens, 0.0

    @property
    def progress(self) -> EngineProgress:
        """Counts so far; the time is that in which at least one request was under way."""
        running_s = time.perf_counter() - self._since if self._live else 0.0
        return EngineProgress(
            finished=self.finished,
            total=self.total,
            new_tokens=self.tokens,
            prompt_tokens=self._prompt_tokens,
            busy_s=self._busy_s + running_s,
            decode_s=self._stepped_s,
        )

    def work_left(self) -> WorkLeft:
        """Return what is waiting and under way, with the rate so far; prompts are part of it."""
        live = [one.chunks for one in self._live]
        return WorkLeft(
            prompt_tokens=0,
            prefill_s=0.0,
            waiting_prompt_tokens=0,
            waiting=max(0, self.total - len(live) - len(self._lengths)),
            live=live,
            ended=list(self._lengths),
            limit=self.limit,
            rows=self.concurrency,
            steps=self._steps,
        )

    @property
    def active(self) -> int:
        """Requests under way."""
        return len(self._live)

    @property
    def tokens(self) -> int:
        """Tokens so far, of requests under way as well."""
        return sum(self._lengths) + sum(one.chunks for one in self._live)
