"""cruxeval-input: with which arguments does a function return a given value? Any that work are right."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from zlib import crc32

from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.benchmarks.cruxeval.assertions import (
    ENTRY_POINT,
    AssertionBenchmark,
    code_of,
    compared_value,
    make_test,
)
from pytest_qeval.benchmarks.cruxeval.check import check_input
from pytest_qeval.benchmarks.cruxeval.rows import CruxRow, is_here, read_data
from pytest_qeval.schema import Problem

NAME = "cruxeval-input"
TASK = (
    "The Python code below ends with an assertion that is not complete. Complete the call with arguments for which the "
    "assertion holds. If there are several possibilities, any of them is right."
)
"""Instruction for chat models."""
_EXAMPLES = """\
def f(words):
    return [word[0] for word in words]
assert ['r', 'b'] == f(['red', 'blue'])

def f(n, step):
    total = 0
    for i in range(0, n, step):
        total += i
    return total
assert 12 == f(10, 4)

"""
# The code stays, since arguments may use what it defines; its function is replaced by one that takes any arguments.
_PRELUDE = f"""{{code}}


def f(*positional, **named):
    return positional, named


def {ENTRY_POINT}():
    return f"""
_YES = "type('Yes', (), {'__eq__': lambda *_: True, '__getattr__': lambda self, _: lambda *_: self})()"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputBenchmark(AssertionBenchmark):
    """Problems that the arguments of a call solve."""

    examples: ClassVar[str] = _EXAMPLES
    task: str = TASK

    def prelude(self, problem: Problem) -> str:
        """Return the code with a function that returns the arguments of a call, and the beginning of that call."""
        return _PRELUDE.format(code=code_of(problem))

    def find_flaw(self, text: str) -> str:
        """Return why a completion is not the parentheses of the call, with whatever arguments."""
        match compared_value("assert 0 == f", text):
            case ast.Call(func=ast.Name(id="f")):
                return ""
        return "the completion does not complete the assertion with one call"

    def broken(self, problem: Problem) -> Mapping[str, str]:
        """Return arguments that no function of CRUXEval takes, and some that answer for themselves."""
        tricks = (
            f"(*[{_YES}] * {max(1, _parameters(problem))})",
            "() or True",
            "(__import__('os')._exit(0))",
            "([__import__('os').write(number, b'passed') for number in range(64)], no_such_parameter=0)",
        )
        return {
            "empty": f"(*[None] * {_parameters(problem) + 1})",
            "constant": "(no_such_parameter=-918273645)",
            "spoof": tricks[crc32(problem.task_id.encode()) % len(tricks)],
        }


def _parameters(problem: Problem) -> int:
    """Return how many parameters the function has."""
    functions = [node for node in ast.parse(code_of(problem)).body if isinstance(node, ast.FunctionDef)]
    return max(len(function.args.args) for function in functions)


def make_problem(row: CruxRow) -> Problem:
    """Return the problem of a row."""
    return Problem(
        benchmark=NAME,
        task_id=f"CRUXEval-I/{row.number}",
        prompt=f"{row.code}\nassert {row.output} == f",
        entry_point=ENTRY_POINT,
        test=make_test(check_input, code=row.code, output=row.output, takes_function=row.takes_function),
        canonical_solution=f"({row.arguments})",
        cluster=f"CRUXEval/{row.number}",
    )


def load(data: Path | None) -> InputBenchmark:
    """Read CRUXEval from the user's data directory, else from the hub.

    Raises:
        DataError: when neither has it, or the content is not CRUXEval's.
    """
    rows, digest = read_data(data)
    problems = {problem.task_id: problem for problem in map(make_problem, rows)}
    return InputBenchmark(name=NAME, version="1", sha256=digest, problems=problems)


CRUXEVAL_INPUT = BenchmarkSource(
    name=NAME,
    summary="CRUXEval-I: arguments with which 800 short Python functions return a given value (Gu et al., 2024)",
    load=load,
    is_here=is_here,
)
