"""Remove statements that only show how a function is used: example calls, prints, asserts, input from a user.

They would run when the program is loaded, before its function is judged. A statement stays if it binds a name that the
function reads, if it touches data that the function reads, or if its purpose is unknown, such as
`sys.setrecursionlimit(…)` or a call that fills a table.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping

from pytest_qeval.benchmarks.python_source import bound_names, compiles, global_reads, header_names, parse

_INTERACTIVE = frozenset({"print", "pprint", "input", "stdin", "exit", "quit", "help", "doctest", "unittest", "pytest"})
"""Names of what a program uses to talk to a user or a test runner."""
_MAX_STATEMENTS = 250
"""Of a module. A model in a loop writes more, and comparing each with all others would take minutes."""
_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def remove_usage_examples(code: str, entry_point: str, *, first_line: int = 1) -> str:
    """Remove the usage examples from a program that compiles and binds its entry point, the function to be judged.

    Lines before `first_line`, from 1, stay.
    """
    if len(parse(code).body) > _MAX_STATEMENTS:
        return code
    module = _ModuleNames(code, entry_point)
    rows = {row for node in module.find_examples(first_line) for row in range(node.lineno, (node.end_lineno or 0) + 1)}
    if not rows:
        return code
    kept = "\n".join(line for number, line in enumerate(code.split("\n"), start=1) if number not in rows)
    return kept if compiles(kept) and entry_point in bound_names(kept) else code


class _ModuleNames:
    """The statements of a module and the names that each of them needs."""

    def __init__(self, code: str, entry_point: str) -> None:
        self.entry_point = entry_point
        self.body = parse(code).body
        self.rows = Counter(row for node in self.body for row in {node.lineno, node.end_lineno})
        """How many statements begin or end on a line; statements can share no other lines."""
        self.inside: Mapping[str, frozenset[str]] = _reads(code, self.body)
        self.needed = self.reach({entry_point}, through_entry_point=True)
        defined = {name for node in self.body if isinstance(node, _DEFINITIONS) for name in _bound(node)}
        self.data = (self.needed & bound_names(code)) - defined - _constants(self.body) - {entry_point}

    def reach(self, names: set[str], *, through_entry_point: bool = False) -> set[str]:
        """Return the names and, transitively, those that functions and classes of these names mention."""
        found, todo = set(names), list(names)
        while todo:
            name = todo.pop()
            if name == self.entry_point and not through_entry_point:
                continue
            new = self.inside.get(name, frozenset()) - found
            found |= new
            todo += new
        return found

    def find_examples(self, first_line: int) -> list[ast.stmt]:
        """Return the statements to remove: usage examples, and what is only about them."""
        executed = {id(node): self.executed(node) for node in self.body}
        bound = {id(node): _bound(node) for node in self.body}
        removable = [node for node in self.body if node.lineno >= first_line and self.is_removable(node)]
        dropped = [node for node in removable if self.is_example(node)]
        pinned: list[ast.stmt] = []
        while True:
            gone = {name for node in dropped for name in bound[id(node)]}
            kept = [node for node in self.body if node not in dropped]
            gone -= {name for node in kept for name in bound[id(node)]}
            reader = next((node for node in kept if gone & executed[id(node)]), None)
            if reader is None:
                return dropped
            if reader in removable and reader not in pinned:
                dropped.append(reader)
            else:
                needed = [node for node in dropped if bound[id(node)] & executed[id(reader)]]
                pinned += needed
                dropped = [node for node in dropped if node not in needed]

    def is_removable(self, node: ast.stmt) -> bool:
        """Return whether a statement has its lines to itself and the entry point works without it."""
        if isinstance(node, _DEFINITIONS) or not _binds_plain_names(node):
            return False
        if self.rows[node.lineno] > 1 or self.rows[node.end_lineno or node.lineno] > 1:
            return False
        return not (_bound(node) & self.needed or self.reach(_mentioned(node)) & self.data)

    def is_example(self, node: ast.stmt) -> bool:
        """Return whether a statement asserts, or calls something and mentions the function or interactive names."""
        if isinstance(node, ast.Assert):
            return True
        calls = any(isinstance(inner, (ast.Call, ast.Await)) for inner in ast.walk(node))
        return calls and bool(self.reach(_mentioned(node)) & (_INTERACTIVE | {self.entry_point}))

    def executed(self, node: ast.stmt) -> set[str]:
        """Return the names that are looked up while a statement of the module is executed."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self.reach(header_names(node))
        return self.reach(_mentioned(node))


def _reads(code: str, body: list[ast.stmt]) -> Mapping[str, frozenset[str]]:
    """Return, by each name of a module, the names that its definition or assignments mention."""
    reads = dict(global_reads(code))
    for node in body:
        if not isinstance(node, _DEFINITIONS):
            mentioned = _mentioned(node)
            reads |= {name: reads.get(name, frozenset()) | mentioned for name in _bound(node)}
    return reads


def _constants(body: list[ast.stmt]) -> set[str]:
    """Return names of immutable values that are bound once, which a usage example cannot change."""
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
    """Return the names that a statement binds anywhere inside."""
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
    """Return whether a statement binds only names: no attribute, no item, no star import."""
    stores = (ast.Attribute, ast.Subscript)
    changes = any(isinstance(inner, stores) and not isinstance(inner.ctx, ast.Load) for inner in ast.walk(node))
    return not changes and "*" not in _bound(node)
