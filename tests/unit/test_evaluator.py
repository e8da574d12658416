from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.text.base import TextBenchmark, text_problem
from pytest_qeval.engines.base import FinishedCompletion, Request
from pytest_qeval.errors import EngineError, MissingCompletionError
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.schema import (
    Case,
    Completion,
    EngineProgress,
    Execution,
    FinishReason,
    Problem,
    Program,
    PromptStyle,
    Record,
)

PROBLEMS = {
    f"b/{number}": Problem(
        benchmark="b",
        task_id=f"b/{number}",
        prompt=f"def f{number}():\n",
        entry_point=f"f{number}",
        test="def check(candidate): pass",
        canonical_solution="    return 1\n",
    )
    for number in range(6)
}
BENCHMARK = Benchmark(name="b", version="1", sha256="0" * 64, problems=PROBLEMS)
CASES = [Case(benchmark="b", task_id=task_id) for task_id in PROBLEMS]


class FakeEngine:
    """Finishes two completions a step, the last submitted first: an order that nobody may rely on."""

    def __init__(self, text: str = "    return 1\n", finish_reason: FinishReason = "stop") -> None:
        self.requests: list[Request] = []
        self.steps = 0
        self._todo: list[FinishedCompletion] = []
        self._total = 0
        self._text, self._reason = text, finish_reason

    def submit(self, requests: Sequence[Request]) -> None:
        self.requests += requests
        for request in requests:
            for index in range(request.n_samples):
                completion = Completion(text=self._text, n_tokens=3, finish_reason=self._reason)
                self._todo.append(FinishedCompletion(key=request.key, index=index, completion=completion))
                self._total += 1

    def step(self) -> Sequence[FinishedCompletion]:
        self.steps += 1
        finished, self._todo = self._todo[-2:], self._todo[:-2]
        return finished

    @property
    def progress(self) -> EngineProgress:
        finished = self._total - len(self._todo)
        return EngineProgress(finished=finished, total=self._total, new_tokens=0, prompt_tokens=0, busy_s=0.0)

    def work_left(self) -> None:
        pass

    def close(self) -> None:
        pass


class FakeExecutor:
    """Executes nothing and returns the given executions."""

    def __init__(self, execution: Execution) -> None:
        self.programs: list[Program] = []
        self._execution = execution

    def submit(self, program: Program) -> Future[Execution]:
        self.programs.append(program)
        future: Future[Execution] = Future()
        future.set_result(self._execution)
        return future


PASSED = Execution(status="passed", duration_s=0.01)
FAILED = Execution(status="failed", duration_s=0.01, detail="assert f() == 2")


def evaluator(
    engine: FakeEngine, executor: FakeExecutor, n_samples: int = 1, style: PromptStyle = "completion"
) -> Evaluator:
    return Evaluator(
        recipe="int8",
        engine=engine,
        execute=executor.submit,
        benchmark=lambda _: BENCHMARK,
        problem=lambda case: BENCHMARK.problems[case.task_id],
        n_samples=lambda _: n_samples,
        style=style,
    )


def test_requests_name_what_all_problems_share_whichever_are_submitted() -> None:
    engine = FakeEngine()
    evaluator(engine, FakeExecutor(PASSED)).submit(CASES[2:3])
    assert [request.shared for request in engine.requests] == ["def f"]


@pytest.mark.parametrize("style", ["completion", "chat"])
def test_a_style_asks_and_reads_its_own_way(style: PromptStyle) -> None:
    """Prompt, stops, program and what the sample keeps of it; the completion is kept as it was."""
    text = "def f0():\n    return 1\n" if style == "chat" else "    return 1\n"
    engine, executor = FakeEngine(text), FakeExecutor(PASSED)
    subject = Evaluator(
        recipe="int8",
        engine=engine,
        execute=executor.submit,
        benchmark=lambda _: BENCHMARK,
        problem=lambda case: BENCHMARK.problems[case.task_id],
        n_samples=lambda _: 1,
        style=style,
    )
    (sample,) = subject.evaluate(CASES[0]).samples

    problem, (request,), (program,) = PROBLEMS["b/0"], engine.requests, executor.programs
    assert program.code == problem.prompt + sample.code
    assert sample.completion.text == text
    if style == "completion":
        assert (request.user, request.prompt, request.stops) == (None, problem.prompt, BENCHMARK.stops)
        assert (sample.extracted, sample.code) == (None, text)
    else:
        assert problem.prompt in (request.user or "")
        assert (request.prompt, request.stops) == ("```python\n", ("\n```",))
        assert sample.extracted == sample.code == f"    pass\n\n\ndel f0\n\n\n{text}"


def test_what_is_expected_is_passed_on() -> None:
    """Each case has its own."""
    engine = FakeEngine()
    subject = evaluator(engine, FakeExecutor(PASSED))
    subject.expected = lambda case: (f"    # {case.task_id}\n",) if case == CASES[1] else ()
    subject.submit(CASES[:2])

    assert [request.expected for request in engine.requests] == [(), ("    # b/1\n",)]


def test_a_benchmark_of_short_completions_has_a_limit_of_its_own() -> None:
    """Which the engine keeps beside the session's."""
    engine = FakeEngine()
    subject = evaluator(engine, FakeExecutor(PASSED))
    subject.benchmark = lambda _: replace(BENCHMARK, max_new_tokens=40)
    subject.submit(CASES[:1])

    assert [request.max_new_tokens for request in engine.requests] == [40]


def test_planned_cases_are_generated_together() -> None:
    """Asking for the first case steps the engine; by then the others are there and need no further step."""
    engine, executor = FakeEngine(), FakeExecutor(PASSED)
    subject = evaluator(engine, executor)
    subject.submit(CASES)

    records = [subject.evaluate(case) for case in CASES]

    assert [record.case for record in records] == CASES
    assert engine.steps == 3
    assert len(executor.programs) == 6


def test_a_case_that_nobody_planned_is_generated_when_asked_for() -> None:
    """A replacement worker gets items that it did not know of."""
    engine = FakeEngine()

    record = evaluator(engine, FakeExecutor(PASSED)).evaluate(CASES[3])

    assert (record.outcome, len(engine.requests)) == ("solved", 1)


def test_a_case_is_submitted_once() -> None:
    """Planning and asking do not double the work."""
    engine = FakeEngine()
    subject = evaluator(engine, FakeExecutor(PASSED))
    subject.submit(CASES)
    subject.submit(CASES)
    subject.evaluate(CASES[0])

    assert len(engine.requests) == len(CASES)


def test_samples_keep_their_order() -> None:
    """Whatever finishes first, sample i is the i-th of the record."""
    record = evaluator(FakeEngine(), FakeExecutor(FAILED), n_samples=5).evaluate(CASES[0])

    assert len(record.samples) == 5
    assert record.n_solved == 0
    assert record.reason == "failed: assert f() == 2"


def test_every_case_has_a_generator_of_its_own() -> None:
    """Cases draw unlike numbers, and a case the same ones whatever else is asked."""
    together, alone = FakeEngine(), FakeEngine()
    evaluator(together, FakeExecutor(PASSED)).submit(CASES)
    evaluator(alone, FakeExecutor(PASSED)).submit(CASES[1:2])

    assert len({request.seed for request in together.requests}) == len(CASES)
    assert alone.requests[0].seed == together.requests[1].seed


def test_the_program_keeps_trusted_and_untrusted_text_apart() -> None:
    """The test is never joined to what the model wrote."""
    executor = FakeExecutor(PASSED)
    evaluator(FakeEngine(), executor).evaluate(CASES[2])

    assert executor.programs == [
        Program(
            prelude="def f2():\n",
            code="def f2():\n    return 1\n",
            test="def check(candidate): pass",
            entry_point="f2",
        )
    ]


@pytest.mark.parametrize("text", ["", "\n\n   ", "    # only thoughts\n", "\n"])
def test_a_completion_without_code_is_not_executed(text: str) -> None:
    """A docstring alone is a valid function; it must not pass for one that the model wrote."""
    executor = FakeExecutor(PASSED)
    record = evaluator(FakeEngine(text), executor).evaluate(CASES[0])

    assert record.samples[0].execution.status == "empty"
    assert executor.programs == []


@pytest.mark.parametrize("text", ["    pass\n", "    return (", "    '''open", "x", "    \x00"])
def test_whatever_holds_code_is_executed(text: str) -> None:
    """Broken code is judged by the sandbox, not by us."""
    executor = FakeExecutor(FAILED)
    evaluator(FakeEngine(text), executor).evaluate(CASES[0])

    assert len(executor.programs) == 1


@pytest.mark.parametrize(
    ("execution", "status"),
    [
        (FAILED, "truncated"),
        (Execution(status="syntax", duration_s=0.0, detail="line 3"), "truncated"),
        (Execution(status="timeout", duration_s=5.0), "timeout"),
        (PASSED, "passed"),
    ],
)
def test_the_token_limit_is_blamed_only_for_what_it_can_cause(execution: Execution, status: str) -> None:
    """A completion that was cut and passes has passed; a cut one that fails was truncated."""
    record = evaluator(FakeEngine(finish_reason="length"), FakeExecutor(execution)).evaluate(CASES[0])

    assert record.samples[0].execution.status == status


@pytest.mark.parametrize("style", ["chat", "completion"])
@pytest.mark.parametrize("reason", ["stop", "length", "replay"])
def test_an_unfinished_thought_is_truncated_and_not_executed(style: PromptStyle, reason: FinishReason) -> None:
    """Whatever was asked and whoever completed it; the samples that are written say the same when they are read."""
    executor = FakeExecutor(FAILED)
    record = evaluator(FakeEngine("<think>\nHm", reason), executor, style=style).evaluate(CASES[0])

    assert record.reason == "truncated: the completion ends within a thought"
    assert executor.programs == []
    assert record.samples[0].code == "<think>\nHm"


def test_an_empty_chat_completion_is_written_as_it_is() -> None:
    """And not as a program that lacks the function, which is another outcome."""
    record = evaluator(FakeEngine(" \n"), FakeExecutor(PASSED), style="chat").evaluate(CASES[0])

    assert (record.samples[0].execution.status, record.samples[0].code) == ("empty", " \n")


def test_a_case_without_completions_has_no_record() -> None:
    with pytest.raises(MissingCompletionError, match="the samples file has no completion"):
        evaluator(FakeEngine(), FakeExecutor(PASSED), n_samples=0).evaluate(CASES[0])


def test_an_idle_engine_is_a_fault_and_no_endless_loop() -> None:
    """An engine that lost a request is reported as dead."""
    engine = FakeEngine()
    subject = evaluator(engine, FakeExecutor(PASSED))
    subject.submit(CASES)
    engine._todo.clear()

    with pytest.raises(EngineError, match="the engine is idle"):
        subject.evaluate(CASES[0])


def test_texts_are_scored_and_not_executed() -> None:
    """Scores are means over the samples; the limit of tokens is no fault, and an empty completion is scored as well."""
    problem = text_problem(
        benchmark="t", task_id="t/0", name="f", code="def f(): ...\n", reference="Do nothing at all."
    )
    texts = TextBenchmark(name="t", version="1", sha256="0" * 64, problems={"t/0": problem})
    executor = FakeExecutor(PASSED)

    def evaluated(text: str) -> Record:
        subject = Evaluator(
            recipe="int8",
            engine=FakeEngine(text, "length"),
            execute=executor.submit,
            benchmark=lambda _: texts,
            problem=lambda case: texts.problems[case.task_id],
            n_samples=lambda _: 2,
        )
        return subject.evaluate(Case(benchmark="t", task_id="t/0"))

    right, empty = evaluated("Do nothing at all.\nAnd more"), evaluated("  \n")

    assert (right.outcome, empty.outcome, right.reason) == ("scored", "scored", "")
    assert [sample.execution.status for sample in right.samples] == ["scored", "scored"]
    assert right.measurements == pytest.approx({"bleu": 1.0, "chrf": 1.0})
    assert empty.measurements == texts.score(problem, "")
    assert executor.programs == []


def test_an_encoder_is_asked_in_its_own_style() -> None:
    """Style, prompt and stop strings are the benchmark's."""
    problem = text_problem(benchmark="t", task_id="t/0", name="f", code="def f(): ...\n", reference="Do nothing.")
    texts = TextBenchmark(name="t", version="1", sha256="0" * 64, problems={"t/0": problem})
    engine = FakeEngine("Do nothing.")
    subject = Evaluator(
        recipe="int8",
        engine=engine,
        execute=FakeExecutor(PASSED).submit,
        benchmark=lambda _: texts,
        problem=lambda case: texts.problems[case.task_id],
        n_samples=lambda _: 1,
        style="source",
    )
    subject.submit([Case(benchmark="t", task_id="t/0")])

    (request,) = engine.requests
    assert (request.prompt, request.user, request.stops) == ("def f(): ...", None, ())
