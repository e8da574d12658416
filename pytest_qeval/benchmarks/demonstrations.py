"""Statements of a program that only show how its function is used: example calls, prints, asserts, questions to a user.

They would run when the program is loaded, before its function is judged. Left out is only what the function does not
need: nothing that binds a name which it reads, nothing that touches data which it reads, and nothing whose purpose is
unknown, such as `sys.setrecursionlimit(…)` or the call that fills a table.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping

from pytest_qeval.benchmarks.python_source import binds, bound_names, compiles, global_reads, header_names, parsed

__all__ = ["without_demonstrations"]

_SPOKEN = frozenset({"print", "pprint", "input", "stdin", "exit", "quit", "help", "doctest", "unittest", "pytest"})
"""Whoever mentions these talks to somebody who is not there."""
_MOST_STATEMENTS = 250
"""Of a module; more are written by a model in a loop, and looking at each beside all others would take minutes."""
_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def without_demonstrations(code: str, entry_point: str, *, first_line: int = 1) -> str:
    """Leave out the demonstrations of a program that compiles.

    Args:
        code: The program.
        entry_point: The function that is going to be judged, and which the program binds.
        first_line: What stands before it stays, whatever it is.
    """
    if len(parsed(code).body) > _MOST_STATEMENTS:
        return code
    scene = _Scene(code, entry_point)
    rows = {row for node in scene.dropped(first_line) for row in range(node.lineno, (node.end_lineno or 0) + 1)}
    if not rows:
        return code
    kept = "\n".join(line for number, line in enumerate(code.split("\n"), start=1) if number not in rows)
    return kept if compiles(kept) and binds(kept, entry_point) else code


class _Scene:
    """A module, and who needs what in it."""

    def __init__(self, code: str, entry_point: str) -> None:
        self.entry_point = entry_point
        self.body = parsed(code).body
        self.rows = Counter(row for node in self.body for row in {node.lineno, node.end_lineno})
        """Lines on which statements begin or end: two can share no other."""
        self.inside: Mapping[str, frozenset[str]] = _reads(code, self.body)
        self.needed = self.reach({entry_point}, through_entry_point=True)
        defined = {name for node in self.body if isinstance(node, _DEFINITIONS) for name in _bound(node)}
        self.data = (self.needed & bound_names(code)) - defined - _constants(self.body) - {entry_point}

    def reach(self, names: set[str], *, through_entry_point: bool = False) -> set[str]:
        """Return the names and whatever the functions and classes of these names mention, and so on."""
        found, todo = set(names), list(names)
        while todo:
            name = todo.pop()
            if name == self.entry_point and not through_entry_point:
                continue
            new = self.inside.get(name, frozenset()) - found
            found |= new
            todo += new
        return found

    def dropped(self, first_line: int) -> list[ast.stmt]:
        """Choose the statements to leave out, and with them what is about them alone."""
        executed = {id(node): self.executed(node) for node in self.body}
        bound = {id(node): _bound(node) for node in self.body}
        loose = [node for node in self.body if node.lineno >= first_line and self.is_loose(node)]
        dropped = [node for node in loose if self.demonstrates(node)]
        pinned: list[ast.stmt] = []
        while True:
            gone = {name for node in dropped for name in bound[id(node)]}
            kept = [node for node in self.body if node not in dropped]
            gone -= {name for node in kept for name in bound[id(node)]}
            reader = next((node for node in kept if gone & executed[id(node)]), None)
            if reader is None:
                return dropped
            if reader in loose and reader not in pinned:
                dropped.append(reader)
            else:
                needed = [node for node in dropped if bound[id(node)] & executed[id(reader)]]
                pinned += needed
                dropped = [node for node in dropped if node not in needed]

    def is_loose(self, node: ast.stmt) -> bool:
        """Return whether the entry point works without a statement that has its lines to itself."""
        if isinstance(node, _DEFINITIONS) or not _binds_plain_names(node):
            return False
        if self.rows[node.lineno] > 1 or self.rows[node.end_lineno or node.lineno] > 1:
            return False
        return not (_bound(node) & self.needed or self.reach(_mentioned(node)) & self.data)

    def demonstrates(self, node: ast.stmt) -> bool:
        """Return whether a statement uses the function, or talks."""
        if isinstance(node, ast.Assert):
            return True
        does = any(isinstance(inner, (ast.Call, ast.Await)) for inner in ast.walk(node))
        return does and bool(self.reach(_mentioned(node)) & (_SPOKEN | {self.entry_point}))

    def executed(self, node: ast.stmt) -> set[str]:
        """Return the names that are looked up while a statement of the module is executed."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self.reach(header_names(node))
        return self.reach(_mentioned(node))


def _reads(code: str, body: list[ast.stmt]) -> Mapping[str, frozenset[str]]:
    """Return what is behind every name of a module: what its functions and classes mention, and its assignments."""
    reads = dict(global_reads(code))
    for node in body:
        if not isinstance(node, _DEFINITIONS):
            mentioned = _mentioned(node)
            reads |= {name: reads.get(name, frozenset()) | mentioned for name in _bound(node)}
    return reads


def _constants(body: list[ast.stmt]) -> set[str]:
    """Name what nobody can change without binding it anew, which a demonstration does not."""
    simple = (ast.Constant, ast.Tuple, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)
    values = [node for node in body if isinstance(node, ast.Assign)]
    fixed = [node for node in values if all(isinstance(inner, simple) for inner in ast.walk(node.value))]
    declared = {
        name for node in body for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names
    }
    others = {name for node in body if node not in fixed for name in _bound(node)}
    return {name for node in fixed for name in _bound(node)} - declared - others


def _mentioned(node: ast.stmt) -> set[str]:
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return names | {
        inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute) and inner.attr == "stdin"
    }


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds, wherever in it."""
    names: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
            names.add(inner.id)
        elif isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(inner.name)
        elif isinstance(inner, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in inner.names)
    return names


def _binds_plain_names(node: ast.stmt) -> bool:
    """Return whether a statement changes nothing but names: no attribute, no item, no star import."""
    stores = (ast.Attribute, ast.Subscript)
    changes = any(isinstance(inner, stores) and not isinstance(inner.ctx, ast.Load) for inner in ast.walk(node))
    return not changes and "*" not in _bound(node)
