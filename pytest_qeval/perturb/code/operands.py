"""Perturbation that mirrors a comparison: `a > b` becomes `b < a`."""

from __future__ import annotations

import ast
import random
import tokenize
from collections.abc import Iterator

from pytest_qeval.perturb.base import Perturbation, on_source
from pytest_qeval.perturb.source import Edit, Source, apply_first_valid, walk_outside_f_strings
from pytest_qeval.schema import Problem

_MIRRORED: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: ">", ast.LtE: ">=", ast.Gt: "<", ast.GtE: "<=", ast.Is: "is",
    ast.IsNot: "is not",
}  # fmt: skip

# Builtins without side effects. `sum` and the like would exhaust an iterator that both operands share, which programs
# do not pass to them; they do pass iterators to `list` and `sorted`, which are therefore missing.
_PURE_CALLS = frozenset({
    "abs", "bool", "chr", "float", "int", "isinstance", "len", "max", "min", "ord", "range", "round", "str",
    "sum", "type",
})  # fmt: skip
_EFFECTS = (ast.Call, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)


def _operand_swap(problem: Problem, source: Source, _rng: random.Random) -> Problem:
    """Swap the operands of the first comparison that allows it."""
    return apply_first_valid(problem, ([edit] for edit in _swaps(source)))


def _swaps(source: Source) -> Iterator[Edit]:
    """Return the change of each comparison, in the order of the text."""
    nodes = list(walk_outside_f_strings(source.function))
    steady = not any(isinstance(node, ast.Global | ast.Nonlocal | ast.NamedExpr) for node in nodes)
    for node in sorted((node for node in nodes if isinstance(node, ast.Compare)), key=source.start):
        is_safe = len(node.ops) == 1 and _is_safe(node.left, node.comparators[0], steady=steady)
        if is_safe and (edit := _swap(source, node)):
            yield edit


def _swap(source: Source, node: ast.Compare) -> Edit | None:
    """Swap the operands as they are written, brackets and blanks included; None where a comment is in the way."""
    mirrored = _MIRRORED.get(type(node.ops[0]))
    start, end = source.start(node), source.end(node)
    inside = [(token, low, high) for token, low, high in source.tokens if start <= low and high <= end]
    if mirrored is None or any(token.type == tokenize.COMMENT for token, _, _ in inside):
        return None
    low, high = source.end(node.left), source.start(node.comparators[0])
    sign = [
        (a, b) for token, a, b in inside if low <= a and b <= high and token.string not in "()" and token.string.strip()
    ]
    left, right = source.text[start : sign[0][0]], source.text[sign[-1][1] : end]
    before, after = left[len(left.rstrip()) :], right[: len(right) - len(right.lstrip())]
    swapped = f"{right.lstrip()}{before}{mirrored}{after}{left.rstrip()}"
    return Edit(start=start, end=end, text=_separate(source.text[start - 1], swapped, source.text[end : end + 1]))


def _separate(before: str, text: str, after: str) -> str:
    """Add a blank where a word would join its new neighbour: `return(a)>b`."""
    left = " " if _is_word(before) and _is_word(text[0]) else ""
    right = " " if _is_word(text[-1]) and _is_word(after) else ""
    return f"{left}{text}{right}"


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_safe(left: ast.expr, right: ast.expr, *, steady: bool) -> bool:
    """Return whether the order in which two operands are evaluated cannot matter.

    `steady` says that the evaluation of one cannot change the variables of the other.
    """
    if not _has_effects(left) and not _has_effects(right):
        return True
    fixed = ast.Constant | ast.Name if steady else ast.Constant
    return isinstance(left, fixed) or isinstance(right, fixed)


def _has_effects(node: ast.expr) -> bool:
    """Return whether an expression may have side effects: every call may, but those of pure builtins."""
    return any(
        not (isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id in _PURE_CALLS)
        for found in ast.walk(node)
        if isinstance(found, _EFFECTS)
    )


OPERAND_SWAP = Perturbation(
    name="operand_swap",
    category="syntax",
    level="syntax",
    form="half",
    summary="first comparison of the given half mirrored: a > b becomes b < a",
    invariant="The comparison gives the same result; it is left alone where the order of evaluation could matter.",
    apply=on_source(_operand_swap),
    random=False,
)
