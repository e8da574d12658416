"""Perturbations that insert dead code: a statement of the given half, copied into a block that is never entered."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pytest_qeval.perturb.base import Apply, Perturbation, on_source
from pytest_qeval.perturb.source import Edit, Function, Source, apply_first_valid, fresh_name
from pytest_qeval.schema import Problem

_SIMPLE = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return | ast.Assert | ast.Raise
_LEAVING = ast.Return | ast.Raise | ast.Break | ast.Continue
_BINDING = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr | ast.Yield | ast.YieldFrom | ast.Await
_Scope = Function | ast.ClassDef


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """A statement and the function or class whose variables it uses."""

    node: ast.stmt
    scope: _Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Start of a line where a block may be inserted."""

    offset: int
    indentation: str
    scope: _Scope


_Places = Callable[[Source, Sequence[_Statement]], Iterator[_Place]]


def _given_statements(source: Source) -> Sequence[_Statement]:
    """Return the function's statements that begin in the given half, nested ones too, in the order of the text."""
    found = _nested_statements(source.function, source.function)
    given = [statement for statement in found if source.start(statement.node) < source.cut]
    return sorted(given, key=lambda statement: source.start(statement.node))


def _nested_statements(node: ast.AST, scope: _Scope) -> Iterator[_Statement]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield _Statement(node=child, scope=scope)
        yield from _nested_statements(child, child if isinstance(child, _Scope) else scope)


def _first_places(source: Source, _statements: Sequence[_Statement]) -> Iterator[_Place]:
    """Return the place after the docstring and the imports that follow it."""
    for node in source.function.body:
        if node is source.docstring or isinstance(node, ast.Import | ast.ImportFrom | ast.Global):
            continue
        decorators = node.decorator_list if isinstance(node, _Scope) else []
        start = source.line_start(min([source.start(node), *map(source.start, decorators)]))
        if source.is_first_on_line(source.start(node)) and start < source.cut:
            yield _Place(offset=start, indentation=source.indentation(start), scope=source.function)
        return


def _last_places(source: Source, statements: Sequence[_Statement]) -> Iterator[_Place]:
    """Return the place after the last complete statement of the given half, or in the block that it opens.

    After a `return` and the like the block would be dead without its head, so there it comes before the statement.
    """
    last = statements[-1]
    start = source.start(last.node)
    is_first = source.is_first_on_line(start)
    inner = [found.node for found in _nested_statements(last.node, last.scope)]
    if inner:  # a block whose first statement is not given
        scope = last.node if isinstance(last.node, _Scope) else last.scope
        yield _Place(offset=source.cut, indentation=source.indentation(source.start(inner[0])), scope=scope)
    elif source.end(last.node) <= source.cut and not (isinstance(last.node, _LEAVING) and is_first):
        after = source.next_line(source.end(last.node))
        yield _Place(offset=after, indentation=source.indentation(start), scope=last.scope)
    if is_first:
        yield _Place(offset=source.line_start(start), indentation=source.indentation(start), scope=last.scope)


def _copies(source: Source, statements: Sequence[_Statement], place: _Place) -> Sequence[str]:
    """Return the one-line statements that may stand at the place: a dead assignment still makes its name local."""
    return [
        source.segment(found.node)
        for found in statements
        if isinstance(found.node, _SIMPLE)
        and found.node is not source.docstring
        and found.node.lineno == found.node.end_lineno
        and source.end(found.node) <= source.cut
        and (found.scope is place.scope or not any(isinstance(node, _BINDING) for node in ast.walk(found.node)))
    ]


def _inserting(find_places: _Places) -> Apply:
    """Make a perturbation of a function that finds places."""

    def perturb(problem: Problem, source: Source, rng: random.Random) -> Problem:
        statements = _given_statements(source)
        if not statements:
            return problem
        head = rng.choice(("if False:", "while False:", f"for {fresh_name('_', problem)} in range(0):"))
        return apply_first_valid(problem, _insertions(source, statements, find_places, head, rng))

    return on_source(perturb)


def _insertions(
    source: Source, statements: Sequence[_Statement], find_places: _Places, head: str, rng: random.Random
) -> Iterator[list[Edit]]:
    for place in find_places(source, statements):
        copies = _copies(source, statements, place)
        if copies:
            unit = "\t" if "\t" in place.indentation else "    "
            text = f"{place.indentation}{head}\n{place.indentation}{unit}{rng.choice(copies)}\n"
            yield [Edit(start=place.offset, end=place.offset, text=text)]


_of_syntax = partial(Perturbation, category="syntax", level="syntax", form="half")

DEAD_CODE_FIRST = _of_syntax(
    name="dead_code_first",
    summary="a statement of the given half copied after the docstring, into a block that is never entered",
    invariant="The same statements run; docstring and imports stay first.",
    apply=_inserting(_first_places),
)
DEAD_CODE_LAST = _of_syntax(
    name="dead_code_last",
    summary="a statement of the given half copied to its end, into a block that is never entered",
    invariant="The same statements run, and the rest continues the same block.",
    apply=_inserting(_last_places),
)
