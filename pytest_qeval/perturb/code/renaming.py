"""Rename the function of a problem wherever a name refers to it, and nowhere else.

ReCode replaces the name as plain text (Wang et al., 2022, arXiv:2212.10264). That changes words which contain the name,
and leaves solution and test as they were, so that recursive solutions fail. Here code is renamed by what a name refers
to, and a docstring where the name is mentioned rather than used as a word of English.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pytest_qeval.perturb.source import (
    Edit,
    Function,
    Source,
    Text,
    apply_edits,
    bound_names,
    docstring_of,
    parse_program,
    words_of,
)
from pytest_qeval.schema import Problem

_Scope = Function | ast.Lambda
_INNER_SCOPES = _Scope | ast.ClassDef | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def is_free(name: str, problem: Problem) -> bool:
    """Return whether a name is usable: an identifier, no keyword, no builtin, and no word of the problem."""
    is_name = name.isidentifier() and not keyword.iskeyword(name) and not keyword.issoftkeyword(name)
    return is_name and not hasattr(builtins, name) and name not in words_of(problem)


def rename_function(problem: Problem, name: str) -> Problem | None:
    """Rename the entry point in prompt, canonical solution and test.

    None where a reference has no known position (inside an f-string), nothing parses, or the prompt does not mention
    the name.
    """
    source = Source.of(problem)
    test = _rename_in_test(problem.test, problem.entry_point, name)
    places = _find_references(source, problem.entry_point) if source else None
    if source is None or test is None or places is None:
        return None
    for docstring in (source.docstring, docstring_of(source.tree)):
        if docstring:
            places += _find_mentions(source, docstring, problem.entry_point)
    size = len(problem.entry_point)
    changed = apply_edits(problem, [Edit(start=place, end=place + size, text=name) for place in places])
    if changed.prompt == problem.prompt:
        return None
    return replace(changed, entry_point=name, test=test)


def _rename_in_test(test: str, old: str, new: str) -> str | None:
    """Rename the function where a test uses its name, beside `candidate`."""
    tree = parse_program(test)
    if tree is None:
        return None
    if old in _bound_in_scope(tree.body):
        return test  # the test's own name: MBPP has functions called `check`
    places = _find_references(Text(text=test, tree=tree), old)
    if places is None:
        return None
    for place in sorted(places, reverse=True):
        test = test[:place] + new + test[place + len(old) :]
    return test


def _find_references(source: Text, name: str) -> list[int] | None:
    """Return the offsets where code refers to a module's name; None where one of them is inside an f-string."""
    found = [*_references(source.tree, name)]
    if any(isinstance(node, ast.JoinedStr) for node in found):
        return None  # before Python 3.12 positions inside f-strings are wrong
    return [_name_offset(source, node) for node in found if isinstance(node, ast.Name | Function)]


def _name_offset(source: Text, node: ast.Name | Function) -> int:
    if isinstance(node, ast.Name):
        return source.start(node)
    keywords = r"async\s+def\s+" if isinstance(node, ast.AsyncFunctionDef) else r"def\s+"
    match = re.compile(keywords).match(source.text, source.start(node))
    return match.end() if match else source.start(node)


def _references(node: ast.AST, name: str) -> Iterator[ast.AST]:
    """Return the nodes that refer to a module's name; for those inside an f-string the f-string itself."""
    if (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, Function) and node.name == name):
        yield node
    for child in _children_outside_scope(node, name):
        for found in _references(child, name):
            yield node if isinstance(node, ast.JoinedStr) else found


def _children_outside_scope(node: ast.AST, name: str) -> Iterator[ast.AST]:
    """Return a node's children; of a scope that binds the name only those that are evaluated outside it."""
    if not isinstance(node, _Scope) or name not in _bound_in_function(node):
        yield from ast.iter_child_nodes(node)
        return
    yield from node.args.defaults
    yield from (default for default in node.args.kw_defaults if default)
    if isinstance(node, Function):
        yield from node.decorator_list


def _bound_in_function(scope: _Scope) -> set[str]:
    parameters = {node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)}
    return parameters | (_bound_in_scope(scope.body) if isinstance(scope, Function) else set())


def _bound_in_scope(body: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements bind in their own scope."""
    nodes = [*_walk_scope(body)]
    outer = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    return {name for node in nodes for name in bound_names(node)} - outer


def _walk_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        if not isinstance(node, _INNER_SCOPES):
            yield from _walk_scope(ast.iter_child_nodes(node))


def _find_mentions(source: Text, docstring: ast.Expr, name: str) -> list[int]:
    """Return the offsets in a docstring that mean the function.

    An ordinary word such as `exchange` means it only where it is called or introduced ("a function encrypt that");
    `sort_third` always does.
    """
    alone = rf"(?<![\w.]){re.escape(name)}(?!\w)"
    is_word = name.isalpha() and name[1:].islower()
    pattern = rf"{alone}(?=\()|(?<=\bfunction ){alone}" if is_word else alone
    start, end = source.start(docstring), source.end(docstring)
    return [match.start() for match in re.compile(pattern).finditer(source.text, start, end)]
