"""What Python says about a text that may be a program: does it compile, what does it bind, where does it end?

The interpreter's own parser and symbol tables decide. A parser that recovers from errors would give a tree of broken
code too, and whoever has a tree is tempted to mend it; here a text is a program or it is none.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import warnings
from bisect import bisect
from collections.abc import Iterator, Sequence

__all__ = [
    "binds",
    "bound_names",
    "compiles",
    "global_reads",
    "header_names",
    "longest_prefix",
    "parsed",
    "statements_in",
    "unbound",
]

_FILE = "<answer>"
_CONTINUES = re.compile(r"\s|[)\]}#]|(?:else|elif|except|finally)\b|$")
"""A line that begins so does not begin a statement of the module."""
_BEGINS = re.compile(r"(?:def|class|async|import|from|if|for|while|try|with)\b|@|[A-Za-z_][\w.]*(?:\(|\[|[\w., ]*[:=])")
"""A line that begins so may begin one, and hardly a sentence."""
_TRIES = 16
"""How often a text is cut, and how many lines are tried."""


def compiles(code: str) -> bool:
    """Return whether Python takes a text for a whole program."""
    return _error_line(code) is None


def parsed(code: str) -> ast.Module:
    """Return the syntax tree of a program that compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes are the answer's affair
        return ast.parse(code)


def binds(code: str, name: str) -> bool:
    """Return whether a program that compiles gives a name a meaning in its module: def, class, assignment, import."""
    return name in bound_names(code)


def bound_names(code: str) -> frozenset[str]:
    """Return the names that a program binds in its module, be it from inside a function by `global`."""
    table = _table(code)
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    inner = (symbol for scope in _below(table) for symbol in scope.get_symbols())
    return frozenset(own | {symbol.get_name() for symbol in inner if _sets_global(symbol)})


def global_reads(code: str) -> dict[str, frozenset[str]]:
    """Give, by the name of every function and class of a module, the global names that code inside of it mentions.

    Decorators, defaults and base classes count as the inside.
    """
    reads: dict[str, set[str]] = {}
    for table in _table(code).get_children():
        names = reads.setdefault(table.get_name(), set())
        for scope in (table, *_below(table)):
            names.update(symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global())
    for node in parsed(code).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            reads.setdefault(node.name, set()).update(header_names(node))
    return {name: frozenset(names) for name, names in reads.items()}


def unbound(code: str) -> frozenset[str]:
    """Return the global names that a program mentions and nobody has bound: neither itself nor Python."""
    tables = [_table(code), *_below(_table(code))]
    top = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_referenced()}
    inner = {symbol.get_name() for table in tables[1:] for symbol in table.get_symbols() if symbol.is_global()}
    return frozenset((top | inner) - bound_names(code) - vars(builtins).keys())


def longest_prefix(code: str, *, only_parse: bool = False) -> str:
    """Return the longest run of whole statements from a text's beginning that compiles; empty where there is none.

    It ends between two statements of the module, never inside of one: a function that is cut off is left out. With
    `only_parse` there may be a `return` outside of every function.
    """
    lines = code.split("\n")
    ends = [at for at, line in enumerate(lines) if at and not _CONTINUES.match(line)]

    def head(end: int) -> str:
        return "\n".join(lines[:end]) + ("\n" if end < len(lines) else "")

    end = len(lines)
    for _ in range(_TRIES):
        wrong = _error_line(head(end), only_parse=only_parse)
        if wrong is None:
            return head(end)
        ends = [at for at in ends if at < min(end, wrong)]
        if not ends:
            return ""
        end = ends[-1]
    # A model in a loop repeats its error without end: from here on, what is broken once is taken to stay so.
    return head(ends[found - 1]) if (found := bisect(ends, 0, key=lambda at: _is_broken(head(at), only_parse))) else ""


def statements_in(text: str) -> str:
    """Return the statements that stand in a text between sentences, one after the other; empty where there is none."""
    lines, kept, at, tries = text.split("\n"), [], 0, 0
    while at < len(lines):
        likely = tries < _TRIES and _BEGINS.match(lines[at])
        tries += bool(likely)
        code = longest_prefix("\n".join(lines[at:])) if likely else ""
        said = _without_words(code) if code else ""
        if said.strip():
            kept.append(said)
        at += max(1, code.count("\n") + (not code.endswith("\n"))) if code else 1
    return "\n".join(kept)


def _without_words(code: str) -> str:
    """Leave out what is an ordinary word or two (`Solution`, `Note: this`) and happens to be Python."""
    lines = code.split("\n")
    for node in parsed(code).body:
        words = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call)
        if words or (isinstance(node, ast.AnnAssign) and node.value is None):
            lines[node.lineno - 1 : node.end_lineno] = [""] * len(lines[node.lineno - 1 : node.end_lineno])
    return "\n".join(lines)


def _error_line(code: str, *, only_parse: bool = False) -> int | None:
    """Return the line, from 1, in which Python finds an error first; None where it finds none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, _FILE, "exec", flags=ast.PyCF_ONLY_AST if only_parse else 0, dont_inherit=True)
    except SyntaxError as error:
        return max(1, error.lineno or 1)
    except (ValueError, MemoryError, RecursionError, OverflowError):  # null bytes; what is nested too deeply
        return 1
    return None


def _is_broken(code: str, only_parse: bool) -> bool:  # noqa: FBT001 - `_error_line`'s own
    return _error_line(code, only_parse=only_parse) is not None


def _table(code: str) -> symtable.SymbolTable:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return symtable.symtable(code, _FILE, "exec")


def _sets_global(symbol: symtable.Symbol) -> bool:
    return symbol.is_declared_global() and symbol.is_assigned()


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)


def header_names(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    """Name what is evaluated in the module when a definition is executed."""
    parts: Sequence[ast.AST]
    if isinstance(node, ast.ClassDef):
        parts = [*node.decorator_list, *node.bases, *node.keywords]
    else:
        parts = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
    return {name.id for part in parts for name in ast.walk(part) if isinstance(name, ast.Name)}
