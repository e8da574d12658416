"""Problems in HumanEval's fields, checked without running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pytest_qeval.benchmarks.python_source import bound_names
from pytest_qeval.benchmarks.rows import iter_rows, text_fields
from pytest_qeval.errors import DataError, did_you_mean
from pytest_qeval.schema import Problem

_FIELDS = ("task_id", "prompt", "entry_point", "test", "canonical_solution")
_OPTIONAL = ("cluster", "suffix")


def _parse_problem(row: Mapping[str, Any], benchmark: str, where: str) -> Problem:
    for name in row.keys() - {*_FIELDS, *_OPTIONAL}:  # others, such as notes, are nobody's business
        if guess := did_you_mean(name, {*_FIELDS, *_OPTIONAL} - row.keys()):
            raise DataError(f"{where}: the field {name!r} is not known. {guess}Rename it.")
    optional = [name for name in _OPTIONAL if row.get(name) is not None]
    fields: dict[str, Any] = {**text_fields(row, (*_FIELDS, *optional), where)}
    problem = Problem(benchmark=benchmark, **fields)
    if flaw := find_flaw(problem):
        raise DataError(f"{where}: {flaw}.")
    return problem


def parse_problems(
    content: bytes,
    *,
    benchmark: str,
    source: str,
    parse: Callable[[Mapping[str, Any], str, str], Problem] = _parse_problem,
) -> dict[str, Problem]:
    """Read problems from JSON lines, in the file's order.

    `parse` makes a problem of a row, the benchmark's name and the row's place; by default of HumanEval's fields.

    Raises:
        DataError: naming `source`, the line and the task id, for a missing field, a field that is no text, a repeated
            task id, or a problem that no completion could solve.
    """
    problems: dict[str, Problem] = {}
    for number, row in iter_rows(content, source=source):
        where = f"{source}, line {number}"
        task_id = row.get("task_id")
        problem = parse(row, benchmark, f"{where} ({task_id})" if isinstance(task_id, str) else where)
        if problem.task_id in problems:
            raise DataError(f"{where}: the task id {problem.task_id!r} occurs twice.")
        problems[problem.task_id] = problem
    if not problems:
        raise DataError(f"{source} holds no problems.")
    return problems


def find_flaw(problem: Problem) -> str:
    """Return why no completion could pass, or an empty string.

    The self-test finds a sound reference that still fails its test.
    """
    if flaw := find_reference_flaw(problem):
        return flaw
    try:
        return "" if "check" in _names(problem.test) else "test defines no function check(candidate)"
    except ValueError as error:
        return f"test is no Python ({error})"


def find_reference_flaw(problem: Problem) -> str:
    """Return what is wrong with a problem apart from its test, or an empty string."""
    if not problem.task_id.strip():
        return "the task id is empty"
    try:
        defined = _names(problem.source(problem.canonical_solution))
    except ValueError as error:
        return f"{_parts(problem)} together are no Python ({error})"
    if problem.entry_point not in defined:
        return f"{_parts(problem)} define no function {problem.entry_point!r}, which entry_point names"
    return ""


def _parts(problem: Problem) -> str:
    return "prompt, canonical_solution and suffix" if problem.suffix else "prompt and canonical_solution"


@lru_cache(maxsize=64)  # problems of one function share their program and their test
def _names(source: str) -> frozenset[str]:
    """Return the names that a module's source binds; raise a ValueError with the line where it is no Python."""
    try:
        return bound_names(source)
    except SyntaxError as error:
        raise ValueError(f"{error.msg}, line {error.lineno}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("nested too deeply") from error
