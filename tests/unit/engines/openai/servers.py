"""Engines against the server of `tests.fake_openai`, with retries that take no time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, Request
from pytest_qeval.engines.openai.background import BackgroundLoop
from pytest_qeval.engines.openai.client import Key, ServerClient
from pytest_qeval.engines.openai.engine import ServerEngine
from pytest_qeval.engines.openai.forcing import Forcing
from pytest_qeval.engines.openai.in_flight import InFlight
from pytest_qeval.engines.openai.prompt_length import PromptCheck
from pytest_qeval.engines.openai.request_body import Abilities
from pytest_qeval.engines.openai.retries import Retries
from pytest_qeval.settings import GenerationSettings
from tests.fake_openai import FakeServer, serving

QUICK = {"attempts": 4, "first_s": 0.01, "longest_s": 0.02, "patience_s": 1.0}


@contextmanager
def engine_of(
    fake: FakeServer,
    *,
    generation: GenerationSettings | None = None,
    abilities: Abilities | None = None,
    prompts: PromptCheck | None = None,
    concurrency: int = 4,
    in_flight: InFlight | None = None,
    forcing: Forcing | None = None,
    context_tokens: int | None = None,
    **retries: Any,
) -> Iterator[ServerEngine]:
    """Start the server and an engine for it, and close both."""
    with serving(fake):
        client = ServerClient(
            f"{fake.url}/v1", retries=Retries(**{**QUICK, **retries}), concurrency=concurrency, key=Key(fake.key)
        )
        engine = ServerEngine(
            BackgroundLoop(),
            client,
            model=fake.model,
            abilities=abilities or Abilities(),
            generation=generation or GenerationSettings(),
            in_flight=in_flight or InFlight.fixed(concurrency),
            forcing=forcing,
            context_tokens=context_tokens,
            prompts=prompts or PromptCheck(),
            facts={},
        )
        try:
            yield engine
        finally:
            engine.close()


def requests(*prompts: str, **fields: Any) -> list[Request]:
    """Return a request for each prompt, with the prompt as its key."""
    return [Request(key=prompt, prompt=prompt, **fields) for prompt in prompts]


def run(engine: ServerEngine, asked: Sequence[Request]) -> list[FinishedCompletion | FailedCompletion]:
    """Submit requests and step until all came to an end."""
    engine.submit(asked)
    done: list[FinishedCompletion | FailedCompletion] = []
    while engine.progress.finished < engine.progress.total:
        done += engine.step()
    return done


def texts(done: Sequence[FinishedCompletion | FailedCompletion]) -> dict[tuple[str, int], str]:
    """Return what came back by key and index: a text, or why there is none; nothing may come twice."""
    found = {
        (one.key, one.index): one.completion.text if isinstance(one, FinishedCompletion) else f"failed: {one.reason}"
        for one in done
    }
    assert len(found) == len(done)
    return found
