"""The engine of a server: some requests under way at a time, each answer taken once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, Request
from pytest_qeval.engines.openai.answer import UnusableAnswerError, WrongModelError
from pytest_qeval.engines.openai.background import BackgroundLoop
from pytest_qeval.engines.openai.client import RefusedError, ServerClient
from pytest_qeval.engines.openai.forcing import NO_SCORES, Forcing
from pytest_qeval.engines.openai.in_flight import InFlight
from pytest_qeval.engines.openai.prompt_length import PromptCheck
from pytest_qeval.engines.openai.request_body import Abilities, call_of
from pytest_qeval.engines.openai.scoring import ServerScorer
from pytest_qeval.engines.openai.workload import Traffic
from pytest_qeval.errors import EngineError, NoScoresError
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.measure.topk import Scores
from pytest_qeval.schema import EngineProgress, Json
from pytest_qeval.settings import GenerationSettings
from pytest_qeval.stats.forecast import WorkLeft

_TICK_S = 0.2
"""Longest time of a step, so that progress is shown."""
_LOG = logging.getLogger(__name__)
_DEAD = 3
"""So many requests that fail for good one after the other: the server is given up."""

Done = FinishedCompletion | FailedCompletion


class ServerEngine:
    """Keeps a server busy with the queue's requests, as many at a time as `InFlight` says.

    Requests are sent from the first step on, and the server goes on with those that are queued while nobody steps: it
    is another process, and its answers would be late otherwise. `close` cancels what is under way.
    """

    def __init__(
        self,
        loop: BackgroundLoop,
        client: ServerClient,
        *,
        model: str,
        abilities: Abilities,
        generation: GenerationSettings,
        in_flight: InFlight,
        prompts: PromptCheck,
        facts: Json,
        forcing: Forcing | None = None,
        context_tokens: int | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """Take an open loop and client, which are closed with the engine; nothing is sent yet.

        Args:
            loop: For all requests.
            client: Sends them.
            model: The server's name of it.
            abilities: What the server can do.
            generation: How completions are generated.
            in_flight: How many requests are under way at a time.
            prompts: Notices truncated prompts.
            facts: Fields of `RecipeFacts`.
            forcing: How the server scores given tokens; None where it does not.
            context_tokens: Of a prompt and its completion together; None where the server does not tell.
            on_close: Called at the end.
        """
        self._loop, self._client = loop, client
        self._model, self._abilities, self._generation = model, abilities, generation
        self._in_flight, self._prompts, self._facts, self._on_close = in_flight, prompts, facts, on_close
        self._forcing, self._context_tokens = forcing, context_tokens
        self._waiting: asyncio.Queue[tuple[Request, int]] = asyncio.Queue()
        self._results: list[Done] = []
        self._came = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._traffic = Traffic(concurrency=in_flight.limit, limit=generation.max_new_tokens)
        self._failed_in_a_row = 0
        self._dead = ""
        self._closed = False

    def submit(self, requests: Sequence[Request]) -> None:
        """Append requests to the queue; see `Engine.submit`."""
        for request in requests:
            for index in range(request.n_samples):
                self._traffic.total += 1
                self._loop.soon(self._waiting.put_nowait, (request, index))

    def step(self) -> Sequence[Done]:
        """Return what was finished since the last step, or wait for it a moment; see `Engine.step`."""
        if self._closed:
            return ()
        self._loop.start()
        self._loop.soon(self._begin)
        started = time.perf_counter()
        self._wait()
        self._traffic.step(time.perf_counter() - started)
        if self._dead and len(self._results) == self._traffic.finished:
            raise EngineError(self._dead)
        return self._take()

    @property
    def progress(self) -> EngineProgress:
        """Counts so far, of answers that came to an end and of what is being streamed."""
        return self._traffic.progress

    def work_left(self) -> WorkLeft:
        """Return what a forecast of the time left needs; see `Engine.work_left`."""
        return self._traffic.work_left()

    def facts(self) -> Json:
        """Return what is known of the server, some of it only at the end; see `ModelEngine.facts`."""
        return {**self._facts, "batch_size": self._in_flight.limit if self._in_flight.settled else None}

    def prepare(self, workload: Workload) -> NoReturn:
        """Refuse: a server does not promise to read or write a given number of tokens.

        Raises:
            EngineError: always.
        """
        raise EngineError(f"{workload.name} cannot be timed on a server, only whole problems.")

    def score(self, solutions: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        """Score solutions behind their prompts, by the likeliest tokens that the server lists; see `ServerScorer`.

        Raises:
            NoScoresError: when the server scores no given tokens.
            EngineError: when it fails, or has other tokens than the baseline.
        """
        if self._forcing is None:
            raise NoScoresError(NO_SCORES)
        scorer = ServerScorer(
            client=self._client,
            forcing=self._forcing,
            concurrency=self._in_flight.limit,
            context_tokens=self._context_tokens,
        )
        return self._loop.call(scorer.score(solutions, against=against))

    def close(self) -> None:
        """Cancel what is under way, and close all connections; calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        try:
            self._loop.call(self._client.close())
            self._loop.close()
        finally:
            self._on_close()

    def _begin(self) -> None:
        """Start to send requests, in the loop; again when more may be under way at a time."""
        while len(self._tasks) < self._in_flight.limit and not self._dead:
            task = asyncio.ensure_future(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _wait(self) -> None:
        """Wait a moment for a result, unless one is there, or none will come."""
        handed = self._traffic.finished
        self._came.clear()
        if len(self._results) == handed < self._traffic.total and not self._dead:
            self._came.wait(_TICK_S)

    def _take(self) -> list[Done]:
        """Return all results that are there; the last statement hands them over, so that an interruption loses none."""
        handed = self._traffic.finished
        done = self._results[handed:]
        self._traffic.finished = handed + len(done)
        return done

    async def _serve(self) -> None:
        """Answer one request after the other, as one of several, until there are too many of them."""
        while not self._dead and len(self._tasks) <= self._in_flight.limit:
            request, index = await self._waiting.get()
            done = await self._answer(request, index)
            self._traffic.concurrency = self._in_flight.limit
            self._results.append(done)
            self._came.set()
            self._begin()

    async def _answer(self, request: Request, index: int) -> Done:
        call = call_of(request, index, model=self._model, generation=self._generation, abilities=self._abilities)
        self._traffic.begin(call.answer)
        self._note(answered=False)
        try:
            completion = await self._client.complete(call.path, call.body, call.answer)
            self._prompts.check(request, call.answer)
        except Exception as error:  # noqa: BLE001 - nobody else sees it: the task would end, and the run wait
            if not isinstance(error, EngineError):
                _LOG.exception("a request failed in an unexpected way")
            self._traffic.end(call.answer, None)
            self._note(answered=True)
            return self._failure(request, index, error)
        self._failed_in_a_row = 0
        self._traffic.end(call.answer, completion)
        self._note(answered=True)
        return FinishedCompletion(key=request.key, index=index, completion=completion)

    def _note(self, *, answered: bool) -> None:
        traffic = self._traffic
        now_s = time.perf_counter()
        self._in_flight.note(active=traffic.active, tokens=traffic.tokens, now_s=now_s, answered=answered)

    def _failure(self, request: Request, index: int, error: Exception) -> FailedCompletion:
        """Abandon one completion, and the server where it is of no use: no other one would come."""
        status = error.status if isinstance(error, RefusedError) else None
        self._failed_in_a_row += status is None and not isinstance(error, UnusableAnswerError)
        hopeless = isinstance(error, WrongModelError) or status in {401, 403}
        if hopeless or self._failed_in_a_row >= _DEAD:
            self._dead = str(error) or type(error).__name__
        reason = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
        return FailedCompletion(key=request.key, index=index, reason=reason)
