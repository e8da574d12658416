"""The pipeline of one recipe: prompts into the engine, programs into sandboxes, records out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from hashlib import sha256
from statistics import fmean
from typing import NamedTuple
from zlib import crc32

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.engines.base import Engine, FailedCompletion, Request
from pytest_qeval.errors import EngineError, MissingCompletionError
from pytest_qeval.schema import (
    PREFIX_ONLY,
    SCORES,
    Case,
    Completion,
    Execution,
    InfillingForm,
    Problem,
    Program,
    PromptStyle,
    Record,
    Sample,
)


class _Executed(NamedTuple):
    """A completion, and the execution of its program."""

    completion: Completion
    program_sha256: str
    extracted: str | None
    """See `Sample.extracted`."""
    future: Future[Execution]


class Executions:
    """Counts the programs that sandboxes have executed, and those that they have not; for a forecast."""

    def __init__(self) -> None:
        """Start with none."""
        self.begun = 0
        self.durations_s: list[float] = []

    def watch(self, future: Future[Execution]) -> None:
        """Count one program now, and its duration once it is known, in a thread of the sandboxes."""
        self.begun += 1
        future.add_done_callback(self._note)

    def _note(self, done: Future[Execution]) -> None:
        known = not done.cancelled() and done.exception() is None
        self.durations_s.append(done.result().duration_s if known else 0.0)


@dataclass(slots=True)
class _Open:
    """A case under evaluation: samples to generate, and those that are being executed."""

    case: Case
    benchmark: Benchmark
    problem: Problem
    n_samples: int
    programs: dict[int, _Executed] = field(default_factory=dict)
    failure: str = ""
    """Why the engine cannot generate a sample."""

    @property
    def generated(self) -> bool:
        return len(self.programs) == self.n_samples


@dataclass(kw_only=True, eq=False)
class Evaluator:
    """Generates ahead for all submitted cases, and returns the record of any of them.

    Only the sandboxes run in the background: the engine advances inside `evaluate`.
    """

    recipe: str
    engine: Engine
    execute: Callable[[Program], Future[Execution]]
    """Executes a program as soon as a sandbox is free."""
    benchmark: Callable[[str], Benchmark]
    problem: Callable[[Case], Problem]
    """Finds the problem of a case: the benchmark's own, or a perturbed one."""
    n_samples: Callable[[Case], int]
    expected: Callable[[Case], tuple[str, ...]] = lambda _: ()
    """Finds what the samples of a case will probably be; see `Request.expected`."""
    style: PromptStyle = "completion"
    form: Callable[[str], InfillingForm | None] = lambda _: None
    """Finds how a benchmark shows the model what follows a completion; None where no model is asked."""
    worker: str = "main"
    on_step: Callable[[], None] = lambda: None
    """Called after every step of the engine."""
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    """A context in which programs are waited for."""
    executions: Executions = field(default_factory=Executions, init=False)
    _open: dict[str, _Open] = field(default_factory=dict, init=False)
    _shared: dict[str, str] = field(default_factory=dict, init=False)

    def submit(self, cases: Iterable[Case]) -> None:
        """Queue cases for generation, in this order; a case is queued only once."""
        requests = []
        for case in cases:
            key = _key(case)
            if key in self._open:
                continue
            self._open[key] = self._waiting(case)
            requests.append(self.request(case))
        if requests:
            self.engine.submit(requests)

    def request(self, case: Case) -> Request:
        """Return what the engine is asked for a case."""
        benchmark, key = self.benchmark(case.benchmark), _key(case)
        prompt = benchmark.prompt(self.problem(case), self.style)
        form = self.form(case.benchmark) or PREFIX_ONLY
        return Request(
            key=key,
            prompt=form.fill(prompt),
            user=prompt.user,
            shared=self._shared_text(benchmark),
            stops=(*benchmark.stops_in(self.style), *form.stops),
            benchmark=case.benchmark,
            task_id=case.label,
            n_samples=self.n_samples(case),
            max_new_tokens=benchmark.max_new_tokens,
            expected=self.expected(case),
            seed=crc32(key.encode()),
        )

    def solves(self, case: Case, completion: Completion) -> bool | None:
        """Execute the program of a completion; None where that cannot be judged, or is scored instead."""
        status = self._execute(self._waiting(case), completion).future.result().status
        return None if status in {"scored", "unsupported"} else status == "passed"

    def _waiting(self, case: Case) -> _Open:
        benchmark = self.benchmark(case.benchmark)
        return _Open(case=case, benchmark=benchmark, problem=self.problem(case), n_samples=self.n_samples(case))

    def evaluate(self, case: Case) -> Record:
        """Step the engine until the case is generated, and wait for its executions.

        All other queued cases advance as well, and their programs are executed meanwhile.

        Raises:
            EngineError: when the engine cannot go on, cannot generate this case, or has nothing left to do.
            MissingCompletionError: for a case that the samples file does not answer.
        """
        self.submit([case])
        waiting = self._open[_key(case)]
        if not waiting.n_samples:
            raise MissingCompletionError("the samples file has no completion")
        while not waiting.generated:
            if waiting.failure:
                raise EngineError(f"{case.label} has no completion: {waiting.failure}")
            self._step()
            if waiting.failure:
                continue
            progress = self.engine.progress
            if not waiting.generated and progress.finished == progress.total:
                raise EngineError(f"the engine is idle, but {case.label} is not generated")
        with self.waiting():
            samples = tuple(self._sample(waiting.programs[index]) for index in range(waiting.n_samples))
        return Record(
            recipe=self.recipe,
            case=case,
            samples=samples,
            worker=self.worker,
            measurements=_scores(waiting),
        )

    def _shared_text(self, benchmark: Benchmark) -> str:
        if benchmark.name not in self._shared:
            self._shared[benchmark.name] = benchmark.shared_text(self.style)
        return self._shared[benchmark.name]

    def _step(self) -> None:
        for finished in self.engine.step():
            waiting = self._open[finished.key]
            if isinstance(finished, FailedCompletion):
                waiting.failure = finished.reason
                continue
            waiting.programs[finished.index] = self._execute(waiting, finished.completion)
        self.on_step()

    def _execute(self, waiting: _Open, completion: Completion) -> _Executed:
        benchmark = waiting.benchmark
        if isinstance(benchmark, TextBenchmark):
            scored = Execution(status="scored", duration_s=0.0)
            return _Executed(completion, _digest(benchmark.description(completion.text)), None, _done(scored))
        program = benchmark.program(waiting.problem, completion.text, self.style, whole=completion.is_program)
        if known := _without_execution(benchmark, completion.text):
            return _Executed(completion, _digest(program.code), None, _done(known))
        extracted = None if program.follow_up == completion.text else program.follow_up
        future = self.execute(program)
        self.executions.watch(future)
        return _Executed(completion, _digest(program.code), extracted, future)

    @staticmethod
    def _sample(executed: _Executed) -> Sample:
        completion, execution = executed.completion, executed.future.result()
        if completion.finish_reason == "length" and execution.status in {"failed", "error", "syntax", "empty"}:
            # The completion is a fragment: report the token limit, and what the fragment did.
            detail = f"{execution.status} at the token limit: {execution.detail}".rstrip(": ")
            execution = replace(execution, status="truncated", detail=detail)
        return Sample(
            completion=replace(completion, text=_encodable(completion.text)),
            program_sha256=executed.program_sha256,
            execution=replace(execution, detail=_encodable(execution.detail)),
            extracted=None if executed.extracted is None else _encodable(executed.extracted),
        )


def _scores(waiting: _Open) -> Mapping[str, float]:
    """Return the mean of every score over the samples of a case; nothing where programs are executed."""
    benchmark = waiting.benchmark
    if not isinstance(benchmark, TextBenchmark):
        return {}
    scores = [benchmark.score(waiting.problem, executed.completion.text) for executed in waiting.programs.values()]
    return {name: fmean(score[name] for score in scores) for name in SCORES}


def _without_execution(benchmark: Benchmark, text: str) -> Execution | None:
    """Return what becomes of a completion without code; None for one that has to be executed."""
    if benchmark.is_unfinished(text):
        return Execution(status="truncated", duration_s=0.0, detail="the completion ends within a thought")
    if benchmark.is_empty(text):
        return Execution(status="empty", duration_s=0.0, detail="the completion holds no code")
    return None


def _done(execution: Execution) -> Future[Execution]:
    """Return a finished future, for what need not be executed."""
    future: Future[Execution] = Future()
    future.set_result(execution)
    return future


def _encodable(text: str) -> str:
    r"""Return a text that UTF-8 can encode: half a surrogate pair is written as `\ud800`.

    Samples files and the messages of exceptions may hold one; neither execnet nor a report can take it.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(case: Case) -> str:
    return f"{case.benchmark}:{case.label}"
