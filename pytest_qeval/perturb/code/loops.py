"""Perturbation that writes `for` loops as `while` loops and the other way round.

Only the head of the loop changes, so that a half that ends inside the loop can be continued as before: counters change
before the body, and `continue`, `break` and `else` keep their meaning.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.perturb.base import Perturbation, on_source
from pytest_qeval.perturb.source import Edit, Source, apply_first_valid, bound_names, fresh_name
from pytest_qeval.schema import Problem

_NEEDED = frozenset({"bool", "int", "iter", "next", "range"})
"""Builtins that a rewritten loop calls: a program that gives one of these names another meaning is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The rewritten head of a loop: lines before it, its own line, and lines at the start of its body."""

    before: Sequence[str] = ()
    line: str
    inside: Sequence[str] = ()


def _for_while(problem: Problem, source: Source, _rng: random.Random) -> Problem:
    """Rewrite the first loop of the given half that can be rewritten."""
    if any(_NEEDED.intersection(bound_names(node)) for node in ast.walk(source.tree)):
        return problem
    loops = [node for node in ast.walk(source.function) if isinstance(node, ast.For | ast.While)]
    ordered = sorted(loops, key=source.start)
    return apply_first_valid(problem, (edits for loop in ordered if (edits := _edits(problem, source, loop))))


def _edits(problem: Problem, source: Source, loop: ast.For | ast.While) -> list[Edit]:
    """Return the changes to a loop's head; none where its body stands on the same line."""
    start = source.start(loop)
    colon = _token_offset(source, source.end(loop.iter if isinstance(loop, ast.For) else loop.test), ":")
    first = source.start(loop.body[0])
    inside = source.next_line(colon)
    if inside > first:
        return []
    if isinstance(loop, ast.For):
        head: _Head | None = _while_head(problem, source, loop, colon)
    else:
        head = _for_head(problem, source, loop, colon)
    if head is None:
        return []
    blanks = source.indentation(start)
    before = "".join(f"{line}\n{blanks}" for line in head.before)
    edits = [Edit(start=start, end=colon, text=before + head.line)]
    if head.inside:
        body = "".join(f"{source.indentation(first)}{line}\n" for line in head.inside)
        edits.append(Edit(start=inside, end=inside, text=body))
    return edits


def _token_offset(source: Source, offset: int, text: str) -> int:
    """Return the offset of the first token with this text, from `offset` on."""
    return next(low for token, low, _ in source.tokens if low >= offset and token.string == text)


def _for_head(problem: Problem, source: Source, loop: ast.While, colon: int) -> _Head | None:
    """Write `while` as `for` over an endless iterator, which is left when the condition fails.

    `break` would skip an `else`, so there the iterator evaluates the condition.
    """
    condition = source.text[source.start(loop) + len("while") : colon].strip()
    counter = fresh_name("_", problem)
    if isinstance(loop.test, ast.Constant) and loop.test.value:
        return _Head(line=f"for {counter} in iter(int, 1)")
    if not loop.orelse:
        unit = source.indent_unit(source.start(loop.body[0]))
        negated = condition if isinstance(loop.test, ast.Name | ast.Call | ast.Attribute) else f"({condition})"
        return _Head(line=f"for {counter} in iter(int, 1)", inside=(f"if not {negated}:", f"{unit}break"))
    own_scope = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    if any(isinstance(node, own_scope) for node in ast.walk(loop.test)):
        return None
    return _Head(line=f"for {counter} in iter(lambda: bool({condition}), False)")


def _while_head(problem: Problem, source: Source, loop: ast.For, colon: int) -> _Head:
    """Write `for` as `while`: with a counter for `range`, else with an iterator that is its own end mark."""
    keyword_in = _token_offset(source, source.end(loop.target), "in")
    target = source.text[source.start(loop) + len("for") : keyword_in].strip()
    counted = _counted_head(problem, source, loop, target)
    if counted:
        return counted
    iterated = source.text[keyword_in + len("in") : colon].strip()
    items, item = fresh_name("items", problem), fresh_name("item", problem)
    value = f"({iterated})" if isinstance(loop.iter, ast.Tuple) else iterated
    return _Head(
        before=(f"{items} = iter({value})",),
        line=f"while ({item} := next({items}, {items})) is not {items}",
        inside=(f"{target} = {item}",),
    )


def _counted_head(problem: Problem, source: Source, loop: ast.For, target: str) -> _Head | None:
    """Count as a `range` with a literal step does; its limit is evaluated once, unless it cannot change."""
    match loop.iter:
        case ast.Call(func=ast.Name(id="range"), args=[_, *_] as arguments) if not any(
            isinstance(node, ast.Starred) for node in arguments
        ):
            step = _literal_step(arguments)
        case _:
            return None
    if not step:
        return None
    first = source.segment(arguments[0]) if len(arguments) > 1 else "0"
    limit = arguments[min(1, len(arguments) - 1)]
    index, stop = fresh_name("index", problem), fresh_name("stop", problem)
    stays = isinstance(limit, ast.Constant) or (isinstance(limit, ast.Name) and _is_unchanged(source, loop, limit.id))
    last = source.segment(limit) if stays else stop
    sign, change = ("<", f"+= {step}") if step > 0 else (">", f"-= {-step}")
    return _Head(
        before=(f"{index} = {first}", *(() if stays else (f"{stop} = {source.segment(limit)}",))),
        line=f"while {index} {sign} {last}",
        inside=(f"{target} = {index}", f"{index} {change}"),
    )


def _is_unchanged(source: Source, loop: ast.For, name: str) -> bool:
    """Return whether a variable keeps its value while a loop runs."""
    rebound = any(isinstance(node, ast.Global | ast.Nonlocal) for node in ast.walk(source.function))
    return not rebound and not any(name in bound_names(node) for node in ast.walk(loop))


def _literal_step(arguments: Sequence[ast.expr]) -> int:
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
    apply=on_source(_for_while),
    random=False,
)
