"""Properties of text that may be a Python program: does it compile, which names does it bind, where does it end?

Python's own parser and symbol tables decide. A parser that recovers from errors would accept broken code; here a text
is a program or it is not.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import warnings
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence

_FILE = "<completion>"
_CONTINUES = re.compile(r"\s|[)\]}#]|(?:else|elif|except|finally)\b|$")
"""Beginning of a line that does not begin a statement of the module."""
_BEGINS = re.compile(r"(?:def|class|async|import|from|if|for|while|try|with)\b|@|[A-Za-z_][\w.]*(?:\(|\[|[\w., ]*[:=])")
"""Beginning of a line that may begin a statement, and hardly a sentence."""
_MAX_TRIES = 16
"""How often a text is cut, and how many lines are tried as beginnings."""


def compiles(code: str) -> bool:
    """Return whether a text is a whole program."""
    return _error_line(code) is None


def parse(code: str) -> ast.Module:
    """Return the syntax tree of a program that compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as invalid escapes
        return ast.parse(code)


def bound_names(code: str) -> frozenset[str]:
    """Return the names that a program defines, assigns or imports in its module, also from functions by `global`."""
    table = _table(code)
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    inner = (symbol for scope in _below(table) for symbol in scope.get_symbols())
    return frozenset(own | {one.get_name() for one in inner if one.is_declared_global() and one.is_assigned()})


def global_reads(code: str) -> dict[str, frozenset[str]]:
    """Return the global names that each function and class of a module mentions, by its name.

    Decorators, defaults and base classes are included.
    """
    reads: dict[str, set[str]] = {}
    for table in _table(code).get_children():
        names = reads.setdefault(table.get_name(), set())
        for scope in (table, *_below(table)):
            names.update(symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global())
    for node in parse(code).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            reads.setdefault(node.name, set()).update(header_names(node))
    return {name: frozenset(names) for name, names in reads.items()}


def unbound_names(code: str) -> frozenset[str]:
    """Return the global names that a program mentions and that neither it nor Python binds."""
    tables = [_table(code), *_below(_table(code))]
    top = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_referenced()}
    inner = {symbol.get_name() for table in tables[1:] for symbol in table.get_symbols() if symbol.is_global()}
    return frozenset((top | inner) - bound_names(code) - vars(builtins).keys())


def longest_prefix(code: str, *, only_parse: bool = False) -> str:
    """Return the longest sequence of whole statements at the beginning of a text that compiles; may be empty.

    It ends between two statements of the module, so a function that is cut off is left out. `only_parse` allows a
    `return` outside of every function.
    """
    lines = code.split("\n")
    ends = [at for at, line in enumerate(lines) if at and not _CONTINUES.match(line)]

    def head(end: int) -> str:
        return "\n".join(lines[:end]) + ("\n" if end < len(lines) else "")

    end = len(lines)
    for _ in range(_MAX_TRIES):
        wrong = _error_line(head(end), only_parse=only_parse)
        if wrong is None:
            return head(end)
        ends = [at for at in ends if at < min(end, wrong)]
        if not ends:
            return ""
        end = ends[-1]
    # A model in a loop repeats its error without end: assume that what is longer than a broken text is broken.
    whole = bisect(ends, 0, key=lambda at: _error_line(head(at), only_parse=only_parse) or 0)
    return head(ends[whole - 1]) if whole else ""


def find_statements(text: str) -> str:
    """Return the statements in a text that also holds sentences, one after the other; may be empty."""
    lines, kept, at, tries = text.split("\n"), [], 0, 0
    while at < len(lines):
        likely = tries < _MAX_TRIES and _BEGINS.match(lines[at])
        tries += bool(likely)
        code = longest_prefix("\n".join(lines[at:])) if likely else ""
        statements = _without_words(code) if code else ""
        if statements.strip():
            kept.append(statements)
        at += max(1, code.count("\n") + (not code.endswith("\n"))) if code else 1
    return "\n".join(kept)


def remove_words(code: str, *, known: frozenset[str]) -> str:
    """Remove words that happen to be Python, and would end the program: `python`, `[PYTHON]`, `Explanation`.

    The names `known` are bound before it.
    """
    unbound = unbound_names(code) - known

    def mentions_unbound(node: ast.stmt) -> bool:
        return any(isinstance(part, ast.Name) and part.id in unbound for part in ast.walk(node))

    return _without_words(code, mentions_unbound)


def is_stub(code: str, name: str) -> bool:
    """Return whether a program's last function of this name does nothing: `pass`, `...`, a docstring."""
    found = [node for node in parse(code).body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    body = next((node.body for node in reversed(found) if node.name == name), None)
    return body is not None and all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )


def _is_words(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call)
    return is_text or (isinstance(node, ast.AnnAssign) and node.value is None)


def _without_words(code: str, is_meant: Callable[[ast.stmt], bool] = lambda _node: True) -> str:
    """Leave out ordinary words that happen to be Python (`Solution`, `Note: this`)."""
    lines = code.split("\n")
    for node in parse(code).body:
        if _is_words(node) and is_meant(node):
            end = node.end_lineno or node.lineno
            lines[node.lineno - 1 : end] = [""] * (end - node.lineno + 1)
    return "\n".join(lines)


def _error_line(code: str, *, only_parse: bool = False) -> int | None:
    """Return the line, from 1, of the first error; None where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, _FILE, "exec", flags=ast.PyCF_ONLY_AST if only_parse else 0, dont_inherit=True)
    except SyntaxError as error:
        return max(1, error.lineno or 1)
    except (ValueError, MemoryError, RecursionError, OverflowError):  # null bytes; what is nested too deeply
        return 1
    return None


def _table(code: str) -> symtable.SymbolTable:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return symtable.symtable(code, _FILE, "exec")


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)


def header_names(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    """Return the names that a definition evaluates in the module when it is executed."""
    parts: Sequence[ast.AST]
    if isinstance(node, ast.ClassDef):
        parts = [*node.decorator_list, *node.bases, *node.keywords]
    else:
        parts = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
    return {name.id for part in parts for name in ast.walk(part) if isinstance(name, ast.Name)}


def remove_future_imports(code: str) -> str:
    """Remove imports from `__future__` from a program that no longer stands at the beginning of its file.

    Annotations become strings, which is what the only such import with an effect makes of them (PEP 563). A program
    without such imports is returned unchanged.
    """
    module = parse(code)
    imports = [node for node in module.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if not imports:
        return code
    try:
        if any(alias.name == "annotations" for node in imports for alias in node.names):
            _quote_annotations(module)
        module.body = [node for node in module.body if node not in imports]
        return f"{ast.unparse(ast.fix_missing_locations(module))}\n"
    except RecursionError:  # nested too deeply: the code is left as it is and will not compile
        return code


def _quote_annotations(module: ast.Module) -> None:
    for node in ast.walk(module):
        for name in ("annotation", "returns"):  # of arguments, assignments and functions
            annotation = getattr(node, name, None)
            if annotation is not None:
                setattr(node, name, ast.Constant(ast.unparse(annotation)))
