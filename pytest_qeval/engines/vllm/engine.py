"""The engine of vLLM: as many requests in it as it decodes together, stepped by whoever waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.sample_seed import seed_of
from pytest_qeval.engines.vllm.prompts import Prompts
from pytest_qeval.engines.vllm.samples import Counts, Done, Sample
from pytest_qeval.engines.vllm.scoring import score_texts
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.measure.topk import Scores
from pytest_qeval.schema import EngineProgress, Json
from pytest_qeval.settings import GenerationSettings
from pytest_qeval.stats.forecast import WorkLeft


class VllmEngine:
    """Feeds vLLM and takes what it has finished; nothing is generated between steps but what vLLM has begun."""

    def __init__(
        self,
        vllm: Any,
        *,
        prompts: Prompts,
        generation: GenerationSettings,
        width: int,
        context_tokens: int,
        facts: Json,
    ) -> None:
        """Take a `vllm.LLMEngine`, which is shut down with this one.

        Args:
            vllm: Computes.
            prompts: Turns requests into what vLLM takes.
            generation: How completions are generated.
            width: Requests that vLLM decodes together at most; the others wait here.
            context_tokens: Of a prompt and its completion together.
            facts: Fields of `RecipeFacts`.
        """
        self._vllm, self._prompts, self._generation = vllm, prompts, generation
        self._width, self._context_tokens, self._facts = width, context_tokens, facts
        self._waiting: deque[Sample] = deque()
        self._live: dict[str, Sample] = {}
        self._open: list[Sample] = []
        """Samples that were not handed over, in order: queue and requests are rebuilt from it after an exception."""
        self._counts = Counts()
        self._n_requests = 0
        self._interrupted = self._closed = False

    def submit(self, requests: Sequence[Request]) -> None:
        """Append requests to the queue; see `Engine.submit`."""
        samples = [Sample(request=one, index=index) for one in requests for index in range(one.n_samples)]
        self._open += samples
        self._waiting += samples
        self._counts.total += len(samples)

    def step(self) -> Sequence[Done]:
        """Do one step of vLLM, and return what it finished; see `Engine.step`."""
        if self._closed:
            return ()
        with self._interruptible():
            self._recover()
            self._feed()
            if self._live:
                self._advance()
            return self._take()

    @property
    def progress(self) -> EngineProgress:
        """Counts so far."""
        return self._counts.progress(self._live.values())

    def work_left(self) -> WorkLeft:
        """Return what a forecast needs."""
        limit, live = self._generation.max_new_tokens, self._live.values()
        return self._counts.work_left(live, waiting=len(self._waiting), limit=limit, rows=self._width)

    def facts(self) -> Json:
        """Return what vLLM tells of the loaded model."""
        return self._facts

    def prepare(self, workload: Workload) -> NoReturn:
        """Refuse: vLLM's steps hold prompts and new tokens of several requests.

        Raises:
            EngineError: always.
        """
        raise EngineError(f"{workload.name} cannot be timed with vLLM, only whole problems.")

    def score(self, solutions: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        """Score solutions by vLLM's log-probabilities of prompts; see `ModelEngine.score`."""
        with self._interruptible():
            self._recover()
            return score_texts(
                self._prompts, solutions, against=against, context_tokens=self._context_tokens, run=self._run
            )

    def close(self) -> None:
        """Stop vLLM's processes, and drop what is left; calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._waiting.clear()
        self._live.clear()
        self._vllm.engine_core.shutdown()
        self._vllm = None

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Have everything that is under way begun again after an exception.

        Raises:
            EngineError: when vLLM's own processes have ended.
        """
        from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415 - imported lazily: it takes seconds

        try:
            yield
        except EngineDeadError as error:
            raise EngineError("vLLM's engine has ended; what it wrote to the terminal says why") from error
        except BaseException:
            self._interrupted = True
            raise

    def _recover(self) -> None:
        """Return requests that an exception has left in the middle to the queue."""
        if not self._interrupted:
            return
        self._vllm.abort_request(list(self._live))
        self._live.clear()
        self._waiting = deque(sample for sample in self._open if sample.result is None)
        for sample in self._waiting:
            sample.restart()
        self._interrupted = False

    def _feed(self) -> None:
        from vllm.exceptions import VLLMValidationError  # noqa: PLC0415 - as above

        while self._waiting and len(self._live) < self._width:
            sample = self._waiting.popleft()
            key = self._next_key()
            self._live[key] = sample
            sample.begun_s = time.perf_counter()
            try:
                self._vllm.add_request(key, *self._call(sample))
            except (ValueError, VLLMValidationError) as error:  # such as a prompt that is longer than the context
                del self._live[key]
                sample.fail(str(error).splitlines()[0].rstrip(".") if str(error) else "vLLM refuses the prompt")

    def _next_key(self) -> str:
        self._n_requests += 1
        return str(self._n_requests)

    def _call(self, sample: Sample) -> tuple[Json, Any]:
        """Return the prompt and the sampling parameters of a sample."""
        from vllm import SamplingParams  # noqa: PLC0415 - as above

        request, generation = sample.request, self._generation
        limit = min(generation.max_new_tokens, request.max_new_tokens or generation.max_new_tokens)
        drawn = {"top_p": generation.top_p, "seed": seed_of(request, sample.index, generation)}
        parameters = SamplingParams(
            temperature=generation.temperature,
            max_tokens=limit,
            **self._prompts.stops(request),
            **(drawn if generation.temperature else {}),
        )
        return {"prompt_token_ids": self._prompts.encode(request)}, parameters

    def _advance(self) -> list[Any]:
        """Do one step, give live samples what is theirs, and return the outputs of other requests."""
        started, before = time.perf_counter(), sum(one.tokens for one in self._live.values())
        rows, others = len(self._live), []
        outputs = self._vllm.step()
        now = time.perf_counter()
        live = list(self._live.values())
        for output in outputs:
            sample = self._live.get(output.request_id)
            if sample is None:
                others.append(output)
                continue
            sample.take(output, now)
            if sample.result:
                del self._live[output.request_id]
        self._counts.busy_s += now - started
        new_tokens = sum(one.tokens for one in live) - before
        if new_tokens:
            self._counts.steps.add(rows, new_tokens, now - started)
        return others

    def _take(self) -> Sequence[Done]:
        """Hand over what has a result."""
        ended = [sample for sample in self._open if sample.result]
        if not ended:
            return ()
        self._counts.hand_over(ended)
        self._open = [sample for sample in self._open if not sample.result]
        return [sample.result for sample in ended if sample.result]

    def _run(self, prompts: Sequence[Sequence[int]], parameters: Any) -> list[Any]:
        """Run prompts of token ids beside what is under way, and return their last outputs, in order."""
        keys = [self._next_key() for _ in prompts]
        found: dict[str, Any] = {}
        try:
            for key, ids in zip(keys, prompts, strict=True):
                self._vllm.add_request(key, {"prompt_token_ids": list(ids)}, parameters)
            while len(found) < len(keys):
                found |= {one.request_id: one for one in self._advance() if one.finished}
        except BaseException:
            self._vllm.abort_request(keys)
            raise
        return [found[key] for key in keys]
