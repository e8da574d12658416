"""cruxeval-output: what does a call return? A completion is a literal, so that it cannot compute anything."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from zlib import crc32

from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.benchmarks.cruxeval.assertions import ENTRY_POINT, AssertionBenchmark, compared_value, make_test
from pytest_qeval.benchmarks.cruxeval.check import check_output
from pytest_qeval.benchmarks.cruxeval.rows import CruxRow, is_here, read_data
from pytest_qeval.schema import Problem

NAME = "cruxeval-output"
TASK = (
    "The Python code below ends with an assertion that is not complete. Complete it with the value that the call "
    "returns. Write the value as a literal, without calls and without anything that is left to be computed."
)
"""Instruction for chat models."""
_EXAMPLES = """\
def f(words):
    return [word[0] for word in words]
assert f(['red', 'blue']) == ['r', 'b']

def f(n, step):
    total = 0
    for i in range(0, n, step):
        total += i
    return total
assert f(10, 4) == 12

"""
_PRELUDE = f"def {ENTRY_POINT}():\n    return "


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBenchmark(AssertionBenchmark):
    """Problems that a literal solves."""

    examples: ClassVar[str] = _EXAMPLES
    task: str = TASK

    def prelude(self, problem: Problem) -> str:
        """Return the beginning of a function that returns the value."""
        del problem
        return _PRELUDE

    def find_flaw(self, text: str) -> str:
        """Return why a completion is no literal, as `ast.literal_eval` takes it."""
        value = compared_value("assert 0 ==", text)
        if value is None:
            return "the completion does not complete the assertion with one value"
        try:
            ast.literal_eval(value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            return "the completion is no literal: what a call returns has to be said, not computed"
        return ""

    def broken(self, problem: Problem) -> Mapping[str, str]:
        """Return values that are wrong, and expressions that are no literals."""
        call = problem.prompt.rpartition("\nassert ")[2].removesuffix(" ==")
        tricks = (
            f" {call}",
            " type('Yes', (int,), {'__eq__': lambda *_: True})(-918273645)",
            " 'no value' or True",
            " __import__('os')._exit(0)",
        )
        return {
            "empty": " None",
            "constant": " ('what no call returns', -918273645)",
            "spoof": tricks[crc32(problem.task_id.encode()) % len(tricks)],
        }


def make_problem(row: CruxRow) -> Problem:
    """Return the problem of a row."""
    return Problem(
        benchmark=NAME,
        task_id=f"CRUXEval-O/{row.number}",
        prompt=f"{row.code}\nassert {row.call} ==",
        entry_point=ENTRY_POINT,
        test=make_test(check_output, code=row.code, call=row.call),
        canonical_solution=f" {row.output}",
        cluster=f"CRUXEval/{row.number}",
    )


def load(data: Path | None) -> OutputBenchmark:
    """Read CRUXEval from the user's data directory, else from the hub.

    Raises:
        DataError: when neither has it, or the content is not CRUXEval's.
    """
    rows, digest = read_data(data)
    problems = {problem.task_id: problem for problem in map(make_problem, rows)}
    return OutputBenchmark(name=NAME, version="1", sha256=digest, problems=problems)


CRUXEVAL_OUTPUT = BenchmarkSource(
    name=NAME,
    summary="CRUXEval-O: the values that 800 calls of short Python functions return (Gu et al., 2024)",
    load=load,
    is_here=is_here,
)
