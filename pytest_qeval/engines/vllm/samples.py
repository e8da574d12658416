"""Samples on their way through vLLM, counted for progress and for the forecast of the time left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, Request
from pytest_qeval.schema import Completion, EngineProgress, FinishReason
from pytest_qeval.stats.forecast import StepCosts, WorkLeft

Done = FinishedCompletion | FailedCompletion


@dataclass(kw_only=True, eq=False, slots=True)
class Sample:
    """One completion of a request."""

    request: Request
    index: int
    begun_s: float = 0.0
    ttft_s: float | None = None
    tokens: int = 0
    """Generated so far."""
    prompt_tokens: int = 0
    result: Done | None = None

    def restart(self) -> None:
        """Forget what was generated."""
        self.ttft_s, self.tokens, self.prompt_tokens = None, 0, 0

    def take(self, output: Any, now_s: float) -> None:
        """Take what vLLM has so far (a cumulative `RequestOutput`); the last one makes the result."""
        found = output.outputs[0]
        self.tokens, self.prompt_tokens = len(found.token_ids), len(output.prompt_token_ids)
        if self.tokens and self.ttft_s is None:
            self.ttft_s = now_s - self.begun_s
        if not output.finished:
            return
        completion = Completion(
            text=found.text,
            n_tokens=self.tokens,
            finish_reason=_reason(found),
            ttft_s=self.ttft_s,
            duration_s=now_s - self.begun_s,
        )
        self.result = FinishedCompletion(key=self.request.key, index=self.index, completion=completion)

    def fail(self, reason: str) -> None:
        """Give this completion up."""
        self.result = FailedCompletion(key=self.request.key, index=self.index, reason=reason)


def _reason(found: Any) -> FinishReason:
    """Return why a completion ended: vLLM says `stop` of the end-of-sequence token as well, without a reason for it."""
    if found.finish_reason == "length":
        return "length"
    return "eos" if found.stop_reason is None else "stop"


@dataclass(kw_only=True, eq=False)
class Counts:
    """What has gone through, in numbers."""

    total: int = 0
    finished: int = 0
    busy_s: float = 0.0
    ended: list[int] = field(default_factory=list)
    """Tokens of finished completions."""
    prompt_tokens: int = 0
    """Of finished completions."""
    steps: StepCosts = field(default_factory=StepCosts)

    def hand_over(self, samples: Iterable[Sample]) -> None:
        """Count samples that have a result."""
        for sample in samples:
            self.finished += 1
            self.prompt_tokens += sample.prompt_tokens
            if isinstance(sample.result, FinishedCompletion):
                self.ended.append(sample.tokens)

    def progress(self, live: Iterable[Sample]) -> EngineProgress:
        """Return counts so far; vLLM reads prompts and generates in the same steps."""
        live = list(live)
        return EngineProgress(
            finished=self.finished,
            total=self.total,
            new_tokens=sum(self.ended) + sum(one.tokens for one in live),
            prompt_tokens=self.prompt_tokens + sum(one.prompt_tokens for one in live),
            busy_s=self.busy_s,
            decode_s=self.busy_s,
        )

    def work_left(self, live: Iterable[Sample], *, waiting: int, limit: int, rows: int) -> WorkLeft:
        """Return what is waiting and under way, with the rate so far; prompts are part of it."""
        return WorkLeft(
            prompt_tokens=0,
            prefill_s=0.0,
            waiting_prompt_tokens=0,
            waiting=waiting,
            live=[one.tokens for one in live],
            ended=list(self.ended),
            limit=limit,
            rows=rows,
            steps=self.steps,
        )
