"""A function's new name, everywhere its name is meant and nowhere else.

ReCode replaces the name as plain text (Wang et al., 2022, arXiv:2212.10264), which changes words that contain it, and
leaves solution and test as they were, so that recursive solutions fail. Here code is renamed by what a name refers to,
and a docstring where the name is mentioned rather than used as a word of English.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pytest_qeval.perturb.source import Edit, Function, Source, Text, description, edited, parsed, words_of
from pytest_qeval.schema import Problem

__all__ = ["is_free", "renamed"]

_Scope = Function | ast.Lambda


def is_free(name: str, problem: Problem) -> bool:
    """Return whether a name may be given: an identifier, no keyword, no builtin, and no word of the problem."""
    is_name = name.isidentifier() and not keyword.iskeyword(name) and not keyword.issoftkeyword(name)
    return is_name and not hasattr(builtins, name) and name not in words_of(problem)


def renamed(problem: Problem, name: str) -> Problem | None:
    """Rename the entry point in prompt, canonical solution and test.

    Returns:
        The renamed problem, or None where a reference cannot be placed (inside an f-string), nothing parses, or the
        prompt does not tell the name.
    """
    source = Source.of(problem)
    test = _renamed_test(problem.test, problem.entry_point, name)
    places = _places(source, problem.entry_point) if source else None
    if source is None or test is None or places is None:
        return None
    for told in (source.docstring, description(source.tree)):
        if told:
            places += _mentions(source.text, source.start(told), source.end(told), problem.entry_point)
    size = len(problem.entry_point)
    changed = edited(problem, [Edit(start=place, end=place + size, text=name) for place in places])
    if changed is None or changed.prompt == problem.prompt:
        return None
    return replace(changed, entry_point=name, test=test)


def _renamed_test(test: str, old: str, new: str) -> str | None:
    """Rename what a test calls by its name, beside the candidate that it is given."""
    tree = parsed(test)
    if tree is None:
        return None
    if old in _bound(tree.body):
        return test  # the test's own: MBPP has functions called `check`
    places = _places(Text(text=test, tree=tree), old)
    if places is None:
        return None
    for place in sorted(places, reverse=True):
        test = test[:place] + new + test[place + len(old) :]
    return test


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """A node that refers to a module's name."""

    node: ast.Name | Function
    in_f_string: bool


def _places(source: Text, name: str) -> list[int] | None:
    """Return the offsets where code refers to a module's name; None where one of them is inside an f-string."""
    found = [*_references(source.tree, name, in_f_string=False)]
    if any(reference.in_f_string for reference in found):
        return None  # before Python 3.12 positions inside f-strings are wrong
    return [_place(source, reference.node) for reference in found]


def _place(source: Text, node: ast.Name | Function) -> int:
    if isinstance(node, ast.Name):
        return source.start(node)
    keywords = r"async\s+def\s+" if isinstance(node, ast.AsyncFunctionDef) else r"def\s+"
    match = re.compile(keywords).match(source.text, source.start(node))
    return match.end() if match else source.start(node)


def _references(node: ast.AST, name: str, *, in_f_string: bool) -> Iterator[_Reference]:
    """Walk through everything but the scopes that give the name a meaning of their own."""
    if isinstance(node, ast.Name) and node.id == name:
        yield _Reference(node=node, in_f_string=in_f_string)
    if isinstance(node, Function) and node.name == name:
        yield _Reference(node=node, in_f_string=in_f_string)
    for child in _seen_from_outside(node, name):
        yield from _references(child, name, in_f_string=in_f_string or isinstance(node, ast.JoinedStr))


def _seen_from_outside(node: ast.AST, name: str) -> Iterator[ast.AST]:
    """Return a node's children, of a scope that binds the name only what is evaluated outside it."""
    if not isinstance(node, _Scope) or name not in _bound_in(node):
        yield from ast.iter_child_nodes(node)
        return
    yield from node.args.defaults
    yield from (default for default in node.args.kw_defaults if default)
    if isinstance(node, Function):
        yield from node.decorator_list


def _bound_in(scope: _Scope) -> set[str]:
    parameters = {node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)}
    return parameters | (_bound(scope.body) if isinstance(scope, Function) else set())


def _bound(body: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements bind in their own scope."""
    names: set[str] = set()
    outer: set[str] = set()
    for node in _of_one_scope(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
    return names - outer


def _of_one_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        if not isinstance(node, _Scope | ast.ClassDef | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _of_one_scope(ast.iter_child_nodes(node))


def _mentions(text: str, start: int, end: int, name: str) -> list[int]:
    """Return the offsets in a docstring where the function is meant.

    An ordinary word such as `exchange` is the function only where it is called or introduced ("a function encrypt
    that"); `sort_third` always is.
    """
    alone = rf"(?<![\w.]){re.escape(name)}(?!\w)"
    is_word = name.isalpha() and name[1:].islower()
    pattern = rf"{alone}(?=\()|(?<=\bfunction ){alone}" if is_word else alone
    return [match.start() for match in re.compile(pattern).finditer(text, start, end)]
