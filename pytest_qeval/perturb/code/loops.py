"""A loop written the other way: `for` as `while`, `while` as `for`.

Only the head of the loop changes, so that a half that ends inside the loop can be continued as before: whatever is
counted is counted before the body, and `continue`, `break` and `else` mean what they meant.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.source import Edit, Function, Source, first_valid, fresh_name
from pytest_qeval.schema import Problem

__all__ = ["FOR_WHILE"]

_NEEDED = frozenset({"bool", "int", "iter", "next", "range"})
"""Builtins that a rewritten loop relies on: a program that calls something else so is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What a loop becomes: lines before it, its own line, and lines that its body begins with."""

    before: Sequence[str] = ()
    line: str
    inside: Sequence[str] = ()


def _for_while(problem: Problem, _rng: random.Random) -> Problem:
    """Rewrite the first loop of the given half that can be."""
    source = Source.of(problem)
    if source is None or _NEEDED & _bound(source):
        return problem
    loops = [node for node in ast.walk(source.function) if isinstance(node, ast.For | ast.While)]
    ordered = sorted(loops, key=source.start)
    return first_valid(problem, (edits for loop in ordered if (edits := _edits(problem, source, loop))))


def _bound(source: Source) -> set[str]:
    """Return the variables, parameters and functions of the program."""
    nodes = list(ast.walk(source.tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    parameters = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return names | parameters | {node.name for node in nodes if isinstance(node, Function)}


def _edits(problem: Problem, source: Source, loop: ast.For | ast.While) -> list[Edit]:
    """Return the changes to a loop's head; none where its body stands on the same line."""
    start = source.start(loop)
    colon = _colon(source, source.end(loop.iter if isinstance(loop, ast.For) else loop.test))
    first = source.start(loop.body[0])
    inside = source.next_line(colon)
    if inside > first:
        return []
    head = (
        _as_while(problem, source, loop, colon) if isinstance(loop, ast.For) else _as_for(problem, source, loop, colon)
    )
    if head is None:
        return []
    blanks = source.indentation(start)
    before = "".join(f"{line}\n{blanks}" for line in head.before)
    body = "".join(f"{source.indentation(first)}{line}\n" for line in head.inside)
    return [
        Edit(start=start, end=colon, text=before + head.line),
        *([Edit(start=inside, end=inside, text=body)] if body else []),
    ]


def _colon(source: Source, offset: int) -> int:
    """Return the offset of the colon that ends a head whose last expression ends at `offset`."""
    return next(low for token, low, _ in source.tokens if low >= offset and token.string == ":")


def _as_for(problem: Problem, source: Source, loop: ast.While, colon: int) -> _Head | None:
    """Write `while` as `for`: over something endless that is left when the condition fails.

    `break` would skip an `else`, so there the condition is what the iterator asks.
    """
    start = source.start(loop) + len("while")
    condition = source.text[start:colon].strip()
    counter = fresh_name("_", problem)
    if isinstance(loop.test, ast.Constant) and loop.test.value:
        return _Head(line=f"for {counter} in iter(int, 1)")
    if not loop.orelse:
        unit = "\t" if "\t" in source.indentation(source.start(loop.body[0])) else "    "
        negated = condition if isinstance(loop.test, ast.Name | ast.Call | ast.Attribute) else f"({condition})"
        return _Head(line=f"for {counter} in iter(int, 1)", inside=(f"if not {negated}:", f"{unit}break"))
    own_scope = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    if any(isinstance(node, own_scope) for node in ast.walk(loop.test)):
        return None
    return _Head(line=f"for {counter} in iter(lambda: bool({condition}), False)")


def _as_while(problem: Problem, source: Source, loop: ast.For, colon: int) -> _Head:
    """Write `for` as `while`: a counter for `range`, else an iterator that is its own end mark."""
    target = source.text[source.start(loop) + len("for") : _keyword_in(source, loop)].strip()
    counted = _counted(problem, source, loop, target)
    if counted:
        return counted
    iterated = source.text[_keyword_in(source, loop) + len("in") : colon].strip()
    items, item = fresh_name("items", problem), fresh_name("item", problem)
    value = f"({iterated})" if isinstance(loop.iter, ast.Tuple) else iterated
    return _Head(
        before=(f"{items} = iter({value})",),
        line=f"while ({item} := next({items}, {items})) is not {items}",
        inside=(f"{target} = {item}",),
    )


def _keyword_in(source: Source, loop: ast.For) -> int:
    return next(low for token, low, _ in source.tokens if low >= source.end(loop.target) and token.string == "in")


def _counted(problem: Problem, source: Source, loop: ast.For, target: str) -> _Head | None:
    """Count what a `range` with a literal step counts; its limit is asked once, unless it is sure to stay."""
    call = loop.iter
    is_range = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"
    if not isinstance(call, ast.Call) or not is_range or any(isinstance(node, ast.Starred) for node in call.args):
        return None
    step = _step(call.args)
    if not call.args or not step:
        return None
    first = _text(source, call.args[0]) if len(call.args) > 1 else "0"
    limit = call.args[min(1, len(call.args) - 1)]
    index, stop = fresh_name("index", problem), fresh_name("stop", problem)
    stays = isinstance(limit, ast.Constant) or (isinstance(limit, ast.Name) and _is_kept(source, loop, limit.id))
    last = _text(source, limit) if stays else stop
    sign, change = ("<", f"+= {step}") if step > 0 else (">", f"-= {-step}")
    return _Head(
        before=(f"{index} = {first}", *(() if stays else (f"{stop} = {_text(source, limit)}",))),
        line=f"while {index} {sign} {last}",
        inside=(f"{target} = {index}", f"{index} {change}"),
    )


def _is_kept(source: Source, loop: ast.For, name: str) -> bool:
    """Return whether a variable keeps its value while a loop runs."""
    rebound = any(isinstance(node, ast.Global | ast.Nonlocal) for node in ast.walk(source.function))
    stored = (node for node in ast.walk(loop) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load))
    return not rebound and name not in {node.id for node in stored}


def _text(source: Source, node: ast.expr) -> str:
    return source.text[source.start(node) : source.end(node)]


def _step(arguments: Sequence[ast.expr]) -> int:
    """Return the step of a range, 0 where it is no literal."""
    given = arguments[2:]
    if not given:
        return 1
    try:
        step = ast.literal_eval(given[0])
    except ValueError:
        return 0
    return step if isinstance(step, int) else 0


FOR_WHILE = Perturbation(
    name="for_while",
    category="syntax",
    level="syntax",
    form="half",
    summary="first loop of the given half written the other way: for as while, while as for",
    invariant="The loop does the same, break, continue and else included; its body stays and may be continued.",
    apply=_for_while,
    random=False,
)
