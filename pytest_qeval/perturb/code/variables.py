"""A local variable under another name, wherever the function uses it.

Parameters keep their names, other than in ReCode: a call by keyword would break, and an answer that is written against
the docstring may well use them.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import random
import string
from collections.abc import Callable, Sequence

from pytest_qeval.perturb.base import Apply, Perturbation
from pytest_qeval.perturb.source import Edit, Source, first_valid, fresh_name, outside_f_strings, words_of
from pytest_qeval.schema import Problem

__all__ = ["INVARIANT", "RENAME_VARIABLE_NAIVE", "RENAME_VARIABLE_RANDOM", "most_frequent_variable", "renaming"]

INVARIANT = "Parameters and all other names stay; the variable is renamed in the whole function."

_DRAWS = 100
_LOOKING_AT_NAMES = frozenset({"locals", "vars", "eval", "exec", "globals"})


def most_frequent_variable(source: Source) -> Sequence[ast.Name]:
    """Return every use, in the whole function, of the local variable that the given half uses most.

    Of equally frequent ones the first counts. What cannot be renamed everywhere is passed over: parameters, imports,
    nested functions, names of the module or of Python, and what an f-string mentions.
    """
    uses: dict[str, list[ast.Name]] = {}
    names = [node for node in outside_f_strings(source.function) if isinstance(node, ast.Name)]
    for node in sorted(names, key=source.start):
        uses.setdefault(node.id, []).append(node)
    given = {name: [source.start(node) < source.cut for node in found].count(True) for name, found in uses.items()}
    barred = _barred(source)
    free = [name for name in uses if given[name] and name not in barred]
    return uses[max(free, key=lambda name: given[name])] if free and not _LOOKING_AT_NAMES & uses.keys() else ()


def _barred(source: Source) -> set[str]:
    """Return the names that are not, or not only, local variables bound by assignments and loops."""
    everything = list(ast.walk(source.function))
    stored = {node.id for node in everything if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    barred = {node.id for node in everything if isinstance(node, ast.Name)} - stored
    for node in everything:
        barred.update(_bound_otherwise(node))
        if isinstance(node, ast.JoinedStr | ast.ClassDef):  # unplaced, or attributes of a class
            barred.update(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
    outside = [node for node in ast.walk(source.tree) if isinstance(node, ast.Name)]
    inside = {id(node) for node in everything}
    module = {node.id for node in outside if id(node) not in inside}
    return barred | module | set(dir(builtins))


def _bound_otherwise(node: ast.AST) -> Sequence[str]:
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).partition(".")[0]]
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    bound = getattr(node, "name", None) or getattr(node, "rest", None)  # of `except … as`, `case …`
    return [bound] if isinstance(bound, str) else []


def renaming(new_name: Callable[[str, Problem, random.Random], str]) -> Apply:
    """Make what applies a perturbation of a way to choose names, which may give the old one where there is no other."""

    def apply(problem: Problem, rng: random.Random) -> Problem:
        source = Source.of(problem)
        uses = most_frequent_variable(source) if source else ()
        if source is None or not uses:
            return problem
        name = new_name(uses[0].id, problem, rng)
        return first_valid(problem, [[Edit(start=source.start(use), end=source.end(use), text=name) for use in uses]])

    return apply


def _numbered(_name: str, problem: Problem, _rng: random.Random) -> str:
    return fresh_name("VAR_0", problem)


def _random(name: str, problem: Problem, rng: random.Random) -> str:
    """Draw letters and digits until they are a new name; of one letter all may be taken."""
    taken = words_of(problem)
    for _ in range(_DRAWS):
        first = rng.choice(string.ascii_letters)
        drawn = first + "".join(rng.choices(string.ascii_letters + string.digits, k=len(name) - 1))
        if drawn not in taken and not keyword.iskeyword(drawn) and not hasattr(builtins, drawn):
            return drawn
    return name


RENAME_VARIABLE_NAIVE = Perturbation(
    name="rename_variable_naive",
    category="syntax",
    level="syntax",
    form="half",
    summary="most frequent local variable of the given half called VAR_0",
    invariant=INVARIANT,
    apply=renaming(_numbered),
    random=False,
)
RENAME_VARIABLE_RANDOM = Perturbation(
    name="rename_variable_random",
    category="syntax",
    level="syntax",
    form="half",
    summary="most frequent local variable of the given half called by as many random letters and digits",
    invariant=INVARIANT,
    apply=renaming(_random),
)
