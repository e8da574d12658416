"""What can be told of a problem without running it: whether its reference and its test are what they have to be."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from pytest_qeval.schema import Problem

__all__ = ["flaw_of", "flaw_of_reference", "names_bound_by"]


def flaw_of(problem: Problem) -> str:
    """Say why no answer to a problem could be judged right; empty where nothing is wrong.

    A reference that is sound and still fails its test is found by the self-test.
    """
    flaw = flaw_of_reference(problem)
    if flaw:
        return flaw
    try:
        tested = names_bound_by(problem.test)
    except ValueError as error:
        return f"test is no Python ({error})"
    return "" if "check" in tested else "test defines no function check(candidate)"


def flaw_of_reference(problem: Problem) -> str:
    """Say what is wrong with a problem, its test aside; empty where nothing is."""
    if not problem.task_id.strip():
        return "the task id is empty"
    try:
        defined = names_bound_by(problem.prompt + problem.canonical_solution)
    except ValueError as error:
        return f"prompt and canonical_solution together are no Python ({error})"
    if problem.entry_point not in defined:
        return f"prompt and canonical_solution define no function {problem.entry_point!r}, which entry_point names"
    return ""


def names_bound_by(source: str) -> set[str]:
    """Return the names that a module's source binds at its top level.

    Raises:
        ValueError: for source that is no Python, saying where.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as for a regular expression in an ordinary string
            module = ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"{error.msg}, line {error.lineno}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("nested too deeply") from error
    return {name for node in module.body for name in _bound(node)}


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
            return  # what it holds is its own affair
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.alias():
            yield (node.asname or node.name).partition(".")[0]
        case ast.Lambda():
            return
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)
