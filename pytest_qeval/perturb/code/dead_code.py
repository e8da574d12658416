"""Code that never runs: a statement of the given half, copied into a block that is not entered."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.source import Edit, Function, Source, first_valid, fresh_name
from pytest_qeval.schema import Problem

__all__ = ["DEAD_CODE_FIRST", "DEAD_CODE_LAST"]

_PLAIN = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return | ast.Assert | ast.Raise
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
    """Where a block may be inserted: at the start of a line."""

    offset: int
    indentation: str
    scope: _Scope


def _statements(source: Source) -> Sequence[_Statement]:
    """List the function's statements that begin in the given half, nested ones too, in the order of the text."""
    found = [*_inside(source.function, source.function)]
    given = [statement for statement in found if source.start(statement.node) < source.cut]
    return sorted(given, key=lambda statement: source.start(statement.node))


def _inside(node: ast.AST, scope: _Scope) -> Iterator[_Statement]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield _Statement(node=child, scope=scope)
        yield from _inside(child, child if isinstance(child, _Scope) else scope)


def _first_places(source: Source, _statements: Sequence[_Statement]) -> Iterator[_Place]:
    """Return the place behind the docstring and the imports that follow it."""
    for node in source.function.body:
        if node is source.docstring or isinstance(node, ast.Import | ast.ImportFrom | ast.Global):
            continue
        decorators = node.decorator_list if isinstance(node, _Scope) else []
        start = source.line_start(min([source.start(node), *map(source.start, decorators)]))
        if source.is_first_on_line(source.start(node)) and start < source.cut:
            yield _Place(offset=start, indentation=source.indentation(start), scope=source.function)
        return


def _last_places(source: Source, statements: Sequence[_Statement]) -> Iterator[_Place]:
    """Return the place behind the last complete statement of the given half, or in the block that it opens.

    Behind a `return` and the like it would be dead without its block: there it comes before.
    """
    last = statements[-1]
    start = source.start(last.node)
    is_first = source.is_first_on_line(start)
    inner = [found.node for found in _inside(last.node, last.scope)]
    if inner:  # a block whose first statement is not given any more
        scope = last.node if isinstance(last.node, _Scope) else last.scope
        yield _Place(offset=source.cut, indentation=source.indentation(source.start(inner[0])), scope=scope)
    elif source.end(last.node) <= source.cut and not (isinstance(last.node, _LEAVING) and is_first):
        after = source.next_line(source.end(last.node))
        yield _Place(offset=after, indentation=source.indentation(start), scope=last.scope)
    if is_first:
        yield _Place(offset=source.line_start(start), indentation=source.indentation(start), scope=last.scope)


def _copies(source: Source, statements: Sequence[_Statement], place: _Place) -> Sequence[str]:
    """List the statements of one line that mean nothing else at the place: they never run, but bind their names."""
    return [
        source.text[source.start(found.node) : source.end(found.node)]
        for found in statements
        if isinstance(found.node, _PLAIN)
        and found.node is not source.docstring
        and found.node.lineno == found.node.end_lineno
        and source.end(found.node) <= source.cut
        and (found.scope is place.scope or not any(isinstance(node, _BINDING) for node in ast.walk(found.node)))
    ]


def _inserting(
    places: Callable[[Source, Sequence[_Statement]], Iterator[_Place]],
) -> Callable[[Problem, random.Random], Problem]:
    """Make a perturbation of a way to find a place."""

    def apply(problem: Problem, rng: random.Random) -> Problem:
        source = Source.of(problem)
        statements = _statements(source) if source else ()
        if source is None or not statements:
            return problem
        counter = fresh_name("_", problem)
        header = rng.choice(("if False:", "while False:", f"for {counter} in range(0):"))
        return first_valid(problem, _insertions(source, statements, places(source, statements), header, rng))

    return apply


def _insertions(
    source: Source, statements: Sequence[_Statement], places: Iterator[_Place], header: str, rng: random.Random
) -> Iterator[list[Edit]]:
    for place in places:
        copies = _copies(source, statements, place)
        if copies:
            unit = "\t" if "\t" in place.indentation else "    "
            lines = (header, unit + rng.choice(copies))
            text = "".join(f"{place.indentation}{line}\n" for line in lines)
            yield [Edit(start=place.offset, end=place.offset, text=text)]


DEAD_CODE_FIRST = Perturbation(
    name="dead_code_first",
    category="syntax",
    level="syntax",
    form="half",
    summary="a statement of the given half copied behind the docstring, into a block that is never entered",
    invariant="What runs is the same; docstring and imports stay first.",
    apply=_inserting(_first_places),
)
DEAD_CODE_LAST = Perturbation(
    name="dead_code_last",
    category="syntax",
    level="syntax",
    form="half",
    summary="a statement of the given half copied to its end, into a block that is never entered",
    invariant="What runs is the same, and the rest continues the same block.",
    apply=_inserting(_last_places),
)
