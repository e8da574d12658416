"""What both ways of decoding share: unfinished samples, finished completions, and recovery from exceptions."""

from __future__ import annotations

import gc
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

import torch

from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, Request
from pytest_qeval.engines.hf.drafts import Drafts
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.memory_faults import is_out_of_memory
from pytest_qeval.engines.hf.rows import PendingSample, Row
from pytest_qeval.engines.hf.sampling import NOT_FINITE, choose, sample_rng
from pytest_qeval.errors import EngineError, counted
from pytest_qeval.quantize.heap import trim_heap
from pytest_qeval.schema import EngineProgress
from pytest_qeval.settings import GenerationSettings
from pytest_qeval.stats.forecast import StepCosts, WorkLeft

_LOG = logging.getLogger(__name__)


class Decoder(ABC):
    """A queue of requests whose unfinished samples survive any exception; subclasses do the decoding."""

    def __init__(self, language_model: LanguageModel, generation: GenerationSettings, *, rows: int) -> None:
        """Take the model, the user's settings, and how many samples are decoded together."""
        self.rows = rows
        """Samples that are decoded together at most; fewer than at first once memory ran out."""
        self._language_model = language_model
        self._codec = language_model.codec
        self._generation = generation
        # All unfinished samples: queue and rows can be rebuilt from it after an exception.
        self._unfinished: dict[tuple[str, int], PendingSample] = {}
        self._outbox: list[FinishedCompletion | FailedCompletion] = []
        self._total = self._finished = self._new_tokens = self._prompt_tokens = 0
        self._busy_s = self._prefill_s = self._decode_s = 0.0
        self._steps = StepCosts()
        self._ended: list[int] = []
        self._restart()

    @abstractmethod
    def _enqueue(self, samples: tuple[PendingSample, ...]) -> None:
        """Append all samples of one request to the queue."""

    @abstractmethod
    def _work(self) -> None:
        """Do one unit of work, passing every row that ends to `_finish`."""

    @abstractmethod
    def _narrow(self) -> None:
        """Decode no more than `rows` samples together from now on, and free what more would need."""

    @property
    def cache_bytes(self) -> int | None:
        """Bytes of the key/value cache; None where the model keeps it for itself."""
        return None

    @abstractmethod
    def work_left(self) -> WorkLeft:
        """Return what a forecast of the time left needs; see `Engine.work_left`."""

    def _work_left(
        self, waiting: Iterable[tuple[PendingSample, ...]], *, rows: int, ready: int = 0, live: Sequence[Row] = ()
    ) -> WorkLeft:
        """Return what is left to do.

        Args:
            waiting: Samples whose prompts wait to be read, by request.
            rows: Samples that are decoded together at most.
            ready: How many samples wait for a row only.
            live: Rows under way.
        """
        waiting = list(waiting)
        return WorkLeft(
            prompt_tokens=self._prompt_tokens,
            prefill_s=self._prefill_s,
            waiting_prompt_tokens=sum(len(samples[0].prompt_ids) for samples in waiting),
            waiting=ready + sum(map(len, waiting)),
            live=[len(row.ids) for row in live],
            ended=self._ended,
            limit=max((sample.max_new_tokens for sample in self._unfinished.values()), default=1),
            rows=rows,
            steps=self._steps,
        )

    @abstractmethod
    def _restart(self) -> None:
        """Forget queue and rows; unfinished samples are enqueued again right after."""

    def submit(self, requests: Sequence[Request]) -> None:
        """Tokenize and queue requests; one whose prompt leaves no room is finished at once, empty."""
        prompts = self._codec.encode_requests(requests)
        for request, ids in zip(requests, prompts, strict=True):
            room = self._language_model.completion_room(len(ids))
            wanted = self._generation.max_new_tokens
            limit = max(0, min(wanted, request.max_new_tokens or wanted, room))
            first = PendingSample(
                request=request,
                index=0,
                prompt_ids=ids,
                shared_tokens=self._codec.count_shared(request, ids),
                max_new_tokens=limit,
            )
            samples = tuple(replace(first, index=index) for index in range(request.n_samples))
            self._total += len(samples)
            self._unfinished.update({sample.name: sample for sample in samples})
            if limit:
                self._enqueue(samples)
                continue
            for sample in samples:
                self._finish(self._row(sample, time.perf_counter()))

    def step(self) -> Sequence[FinishedCompletion | FailedCompletion]:
        """Do one unit of work and return the finished completions; see `Engine.step`.

        Out of memory, the step is given up, and the next one decodes half as many samples together.

        Raises:
            EngineError: when memory is too small for a single one.
        """
        try:
            return self._step()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._halve()  # not above, where the exception still holds the tensors of the step
        return ()

    def _halve(self) -> None:
        if self.rows == 1:
            raise EngineError(
                "there is not enough memory for a single completion: choose a smaller model or recipe, or a smaller "
                "--qeval-max-new-tokens; finished cases are kept"
            )
        self.rows //= 2
        _LOG.warning("Out of memory: from now on %s decoded together.", counted(self.rows, "sample"))
        self._narrow()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        trim_heap()

    def _step(self) -> Sequence[FinishedCompletion | FailedCompletion]:
        started = time.perf_counter()
        finished: list[FinishedCompletion | FailedCompletion] = []
        try:
            self._work()
            finished, self._outbox = self._outbox, []
            self._finished += len(finished)
            self._busy_s += time.perf_counter() - started
            return finished  # noqa: TRY300 - an exception may come at any point, here too
        except BaseException:
            self._outbox = finished or self._outbox
            self._recover()
            raise

    def _count_step(self, rows: int, tokens: int, seconds: float) -> None:
        self._decode_s += seconds
        self._steps.add(rows, tokens, seconds)

    @property
    def progress(self) -> EngineProgress:
        """Counts so far."""
        return EngineProgress(
            finished=self._finished,
            total=self._total,
            new_tokens=self._new_tokens,
            prompt_tokens=self._prompt_tokens,
            busy_s=self._busy_s,
            prefill_s=self._prefill_s,
            decode_s=self._decode_s,
        )

    def _recover(self) -> None:
        """Enqueue all unfinished samples again, in the order of their requests."""
        delivered = {(finished.key, finished.index) for finished in self._outbox}
        self._finished = self._total - len(self._unfinished.keys() | delivered)
        self._unfinished = {name: sample for name, sample in self._unfinished.items() if name not in delivered}
        self._restart()
        for _, samples in groupby(self._unfinished.values(), key=lambda sample: sample.request.key):
            self._enqueue(tuple(samples))

    def _row(self, sample: PendingSample, admitted_at: float) -> Row:
        rng = sample_rng(self._generation.seed, sample.request.seed, sample.index)
        return Row(sample=sample, rng=rng, drafts=self._drafts(sample), admitted_at=admitted_at)

    def _drafts(self, sample: PendingSample) -> Drafts:
        expected = self._codec.encode_completion(sample.request.expected[sample.index : sample.index + 1])
        return Drafts(sample.prompt_ids, expected)

    def _choose(self, logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
        settings = self._generation
        rngs = [row.rng for row in rows]
        return choose(logits, rngs, temperature=settings.temperature, top_p=settings.top_p)

    def _append(self, row: Row, token: int) -> None:
        if token == NOT_FINITE:
            row.reason, row.failure = "length", _not_finite(len(row.ids))
            return
        self._new_tokens += 1
        self._codec.append(row, token)
        row.drafts.append(token)

    def _finish(self, row: Row) -> None:
        key, index = row.sample.name
        failed = FailedCompletion(key=key, index=index, reason=row.failure) if row.failure else None
        self._outbox.append(failed or self._codec.finish(row))
        self._ended.append(len(row.ids))
        self._unfinished.pop(row.sample.name, None)


def _not_finite(n_tokens: int) -> str:
    return (
        f"the model's logits are NaN or infinite after {counted(n_tokens, 'token')}: a number overflows, so take a "
        "recipe with a wider range, such as bf16 or fp32"
    )
