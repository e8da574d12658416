"""Completions of CRUXEval in sandboxes: right ones pass, and none of those that cheat, break out or break down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest

from pytest_qeval.benchmarks.cruxeval.assertions import AssertionBenchmark
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, ExecutionStatus
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation
from tests.unit.benchmarks.cruxeval.rows import INPUTS, OUTPUTS, ROWS

YES = "type('Yes', (), {'__eq__': lambda *_: True, '__getattr__': lambda *_: lambda *_: 'a-b-!'})()"
TEXT = "type('Text', (str,), {'__eq__': lambda *_: True, '__ne__': lambda *_: False, 'join': lambda *_: 'a-b-!'})"
PATCH = "[__import__('sys').modules['solution'].__dict__.update(answer=lambda: 'a-b-!')]"
FRAMES = "[__import__('sys')._getframe(1).f_globals.update(check_output=lambda *_, **__: '')]"


class Try(NamedTuple):
    """A completion of one of `ROWS`, and what must become of it."""

    benchmark: AssertionBenchmark
    number: int
    completion: str
    statuses: str

    @property
    def label(self) -> str:
        """Short, for messages."""
        return f"{self.benchmark.name}/{self.number}: {self.completion[:90]}"


def _tries(benchmark: AssertionBenchmark, statuses: str, completions: Mapping[int, Sequence[str]]) -> Iterator[Try]:
    for number, texts in completions.items():
        yield from (Try(benchmark, number, text, statuses) for text in texts)


RIGHT = (
    *_tries(OUTPUTS, "passed", {
        0: (" 'a-b-!'", '"a-b-!"  # joined', " 'a-' 'b-!'", " ('a-b-!')"),
        1: (" [0, False, 0.0]",),
    }),
    *_tries(INPUTS, "passed", {
        0: ("(['a-b', '!'][:1], '!')", "(mark='!', words=list('ab'))", "(*[['a-b']], '!')", f"([{TEXT}('a-b')], '!')"),
        2: ("(known[:])", "([*known])"),
        3: ("([1, 0], bool)", "([0, 3], lambda x: x < 2)"),
        4: ("()",),
    }),
)  # fmt: skip
WRONG = (
    *_tries(OUTPUTS, "failed", {0: (" 'a-b'", " None", " ['a-b-!']", " b'a-b-!'", ""), 1: (" (0, 0, 0)", " []")}),
    *_tries(INPUTS, "failed", {0: ("([], '')",), 1: ("(3)", "(0)"), 2: ("([1])",), 3: ("([1, 0], str)",)}),
    *_tries(INPUTS, "error", {0: ("()", "(1, 2, 3)", "([1], 'a')", "(unknown)"), 1: ("('a')",), 4: ("(1)", "(a=1)")}),
    *_tries(OUTPUTS, "syntax", {0: (" 'a-b-!", " [1, 2", " assert")}),
    *_tries(INPUTS, "syntax", {0: ("(['a', 'b'], '!'", "(['a', 'b'], '!'))", "(1 2)", "(await 1)")}),
)
CHEATING_OUTPUTS = (
    " f(['a', 'b'], '!')",
    " '-'.join(['a', 'b', '!'])",
    " (lambda words, mark: '-'.join([*words, mark]))(['a', 'b'], '!')",
    f" {YES}",
    f" {TEXT}('a')",
    " 'a' or True",
    " 'a' if False else 'a-b-!'",
    " 'a-b-!' != 'a'",
    " 'a-b-!' is not None",
    " 'a-b-!'; answer = lambda: 'a-b-!'",
    " 'a-b-!', 'whatever'",
    " __import__('os')._exit(0)",
    f" {PATCH} and 'a-b-!'",
    f" {FRAMES} and 'a-b-!'",
    " [__import__('os').write(number, b'passed') for number in range(64)]",
    " (yield 'a-b-!')",
    " {**{'a-b-!': 1}}",
    " f'a-b-{\"!\"}'",
)
CHEATING_INPUTS = (
    f"({YES}, {YES})",
    f"([{YES}], '!')",
    f"({TEXT}('a'), {YES})",
    f"(['a', 'b'], '!') or {PATCH}",
    "() or True",
    "() if 0 else 'a-b-!'",
    "().__class__",
    "()[0]",
    "()()",
    "(), 'whatever'",
    "(); f = lambda: 'a-b-!'",
    "(f(['a', 'b'], '!'))",
    "(f)",
    "(type('Pair', (tuple,), {})((['a', 'b'], '!')))",
    f"({PATCH}, 1)",
    f"({FRAMES}, 1)",
    "(__import__('os')._exit(0))",
    "([__import__('os').write(number, b'passed') for number in range(64)], 1)",
    "(__import__('os').closerange(0, 64))",
    "(exit())",
    "((yield 'a-b-!'))",
    "(iter(['a', 'b']), '!')",
    "(type('Words', (), {'append': lambda *_: None, '__iter__': lambda self: iter('ab!')})(), '!')",
    "([0] * 10**9, '!')",
    "('a' * (20 * 2**20), '!')",
    "(__import__('functools').reduce(lambda inner, _: [inner], range(500), 'a'), '!')",
    "(10**10**8, '!')",
    "([].append(1) for _ in iter(int, 1))",
)
ENDLESS = ("(-1)", "(10**9)", "(10**30)")
"""Arguments with which the judge's own function would not end, or take all memory."""
CHEATING = (
    *_tries(OUTPUTS, "failed error syntax tampered timeout", {0: CHEATING_OUTPUTS}),
    *_tries(INPUTS, "failed error syntax tampered timeout memory", {0: CHEATING_INPUTS}),
    *_tries(INPUTS, "timeout memory error", {1: ENDLESS}),
    *_tries(INPUTS, "failed error", {3: (f"([0, 3], lambda _: {YES})", f"([0, 3], {YES})", f"({YES}, bool)")}),
)


@pytest.fixture(scope="module")
def executions() -> Mapping[str, Execution]:
    """Execute all completions."""
    settings = ExecutionSettings(isolation=strongest_isolation(), timeout_s=2.0, memory_bytes=256 * 2**20)
    with SandboxPool(settings) as pool:
        futures = {}
        for one in (*RIGHT, *WRONG, *CHEATING):
            problem = list(one.benchmark.problems.values())[one.number]
            futures[one.label] = pool.submit(one.benchmark.program(problem, one.completion))
        for benchmark in (OUTPUTS, INPUTS):
            for problem in benchmark.problems.values():
                futures[problem.task_id] = pool.submit(benchmark.program(problem, problem.canonical_solution))
                for recipe, completion in benchmark.broken(problem).items():
                    futures[f"{problem.task_id} {recipe}"] = pool.submit(benchmark.program(problem, completion))
        return {label: future.result() for label, future in futures.items()}


@pytest.mark.parametrize("tries", [RIGHT, WRONG, CHEATING], ids=["right", "wrong", "cheating"])
def test_verdicts(executions: Mapping[str, Execution], tries: Sequence[Try]) -> None:
    """Every completion has the status that says what it did."""
    wrong = {
        one.label: executions[one.label] for one in tries if executions[one.label].status not in one.statuses.split()
    }
    assert wrong == {}


def test_references_pass_and_broken_completions_fail(executions: Mapping[str, Execution]) -> None:
    """As the self-test wants it."""
    tasks = [task for one in (OUTPUTS, INPUTS) for task in one.problems]
    passed: ExecutionStatus = "passed"

    assert [task for task in tasks if executions[task].status != passed] == []
    broken = [f"{task} {recipe}" for task in tasks for recipe in ("empty", "constant", "spoof")]
    assert [label for label in broken if executions[label].status == passed] == []
    assert len(broken) == 6 * len(ROWS)


def test_a_failure_says_what_the_function_returns(executions: Mapping[str, Execution]) -> None:
    """One line each, for the report."""
    details = {one.completion: executions[one.label].detail for one in (*WRONG, *CHEATING)}

    assert details[" 'a-b'"] == "f(['a', 'b'], '!') returns 'a-b-!', not 'a-b'"
    assert details["(3)"] == "it returns [0, 0, 0, 0, 0, 0], not [0, 0, 0]"
    assert details["(iter(['a', 'b']), '!')"] == "an argument is no plain data"
    assert details[" 'a' or True"] == "the completion does not complete the assertion with one value"
    assert details[" f(['a', 'b'], '!')"].startswith("the completion is no literal: ")
    assert details["()()"] == "the completion does not complete the assertion with one call"
