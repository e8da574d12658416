"""The source of a problem as one text: prompt and solution parsed together, and edits that leave the rest alone.

Half a solution may not parse (an open block, an open bracket), so changes are made to prompt and canonical solution
together, and the text is cut again where it was. Everything outside an edit stays as it was, byte for byte.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_qeval.schema import Problem

__all__ = [
    "Edit",
    "Function",
    "Source",
    "Text",
    "description",
    "edited",
    "first_valid",
    "fresh_name",
    "outside_f_strings",
    "parsed",
    "string_spans",
    "words_of",
]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace what stands between two offsets of the whole text; an insertion where both are equal."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)  # no slots: what is cached needs a place
class Text:
    """A program, its tree, and where things are in it."""

    text: str
    tree: ast.Module

    @cached_property
    def _line_starts(self) -> Sequence[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def offset(self, line: int, byte_column: int) -> int:
        """Return the offset of a position as `ast` counts: lines from 1, columns in bytes of UTF-8."""
        start = self._line_starts[line - 1]
        return start + len(self.text[start : start + byte_column].encode()[:byte_column].decode())

    def start(self, node: ast.stmt | ast.expr) -> int:
        """Return the offset where a node begins, without its decorators."""
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.stmt | ast.expr) -> int:
        """Return the offset where a node ends."""
        return self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def line_start(self, offset: int) -> int:
        """Return the offset of the first character of the line."""
        return self.text.rfind("\n", 0, offset) + 1

    def next_line(self, offset: int) -> int:
        """Return the offset of the first character of the next line, or the end of the text."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end + 1

    def indentation(self, offset: int) -> str:
        """Return the blanks that the line begins with."""
        start = self.line_start(offset)
        return self.text[start : start + len(self.text[start:]) - len(self.text[start:].lstrip(" \t"))]

    def is_first_on_line(self, offset: int) -> bool:
        """Return whether only blanks precede."""
        return not self.text[self.line_start(offset) : offset].strip()

    @cached_property
    def tokens(self) -> Sequence[tuple[tokenize.TokenInfo, int, int]]:
        """Every token with the offsets where it begins and ends."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        starts = [*self._line_starts, len(self.text)]
        return [
            (token, starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1])
            for token in tokens
        ]


def parsed(text: str) -> ast.Module | None:
    """Parse a program; None where it does not compile (`return` outside a function parses, but does not)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes and comparisons that the data's own code is warned about
        try:
            compile(text, "<problem>", "exec", dont_inherit=True)
            return ast.parse(text)
        except (SyntaxError, ValueError):
            return None


@dataclass(frozen=True, kw_only=True)
class Source(Text):
    """Prompt and canonical solution as one text, with the function that is asked for."""

    cut: int
    """Offset where the prompt ends."""
    function: Function

    @classmethod
    def of(cls, problem: Problem) -> Source | None:
        """Parse a problem; None where it does not parse or does not define its entry point at module level."""
        text = problem.prompt + problem.canonical_solution
        if "\r" in text or "\f" in text:  # Python counts them as line ends or not at all; not worth a second count
            return None
        tree = parsed(text)
        if tree is None:
            return None
        named = [node for node in tree.body if isinstance(node, Function) and node.name == problem.entry_point]
        return cls(text=text, cut=len(problem.prompt), tree=tree, function=named[-1]) if named else None

    @cached_property
    def docstring(self) -> ast.Expr | None:
        """The statement that describes the function, behind imports too: HumanEval/115 begins with one."""
        return description(self.function)


def description(block: Function | ast.Module) -> ast.Expr | None:
    """Return the string that a function or a file begins with, but for imports."""
    first = next((node for node in block.body if not isinstance(node, ast.Import | ast.ImportFrom)), None)
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first
    return None


def outside_f_strings(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree but for what is inside f-strings, whose positions are wrong before Python 3.12."""
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from outside_f_strings(child)


def string_spans(source: Source) -> Sequence[tuple[int, int]]:
    """Return begin and end of every string literal, f-strings as one whatever the version of Python."""
    spans: list[tuple[int, int]] = []
    open_at: list[int] = []
    for token, low, high in source.tokens:
        kind = tokenize.tok_name[token.type]
        if kind == "STRING" and not open_at:
            spans.append((low, high))
        elif kind in {"FSTRING_START", "TSTRING_START"}:
            open_at.append(low)
        elif kind in {"FSTRING_END", "TSTRING_END"}:
            start = open_at.pop()
            if not open_at:
                spans.append((start, high))
    return spans


def edited(problem: Problem, edits: Iterable[Edit]) -> Problem | None:
    """Apply edits that do not overlap; what is inserted where the prompt ends belongs to the prompt.

    Returns:
        The problem with the new text, or None where an edit spans the end of the prompt.
    """
    cut = len(problem.prompt)
    prompt, solution = problem.prompt, problem.canonical_solution
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
        if edit.end <= cut:
            prompt = prompt[: edit.start] + edit.text + prompt[edit.end :]
        elif edit.start >= cut:
            solution = solution[: edit.start - cut] + edit.text + solution[edit.end - cut :]
        else:
            return None
    return replace(problem, prompt=prompt, canonical_solution=solution)


def first_valid(problem: Problem, candidates: Iterable[Iterable[Edit]]) -> Problem:
    """Apply the first of several changes that alters the prompt and leaves a program that parses to another tree."""
    original = Source.of(problem)
    for edits in candidates:
        changed = edited(problem, edits)
        if changed is None or changed.prompt == problem.prompt:
            continue
        source = Source.of(changed)
        if original and source and ast.dump(source.tree) != ast.dump(original.tree):
            return changed
    return problem


def words_of(problem: Problem) -> frozenset[str]:
    """List every word of a problem, prose included: a name that is none of them collides with nothing."""
    return frozenset(re.findall(r"\w+", f"{problem.prompt}\n{problem.canonical_solution}\n{problem.test}"))


def fresh_name(wanted: str, problem: Problem) -> str:
    """Return the wanted name, or the first of `wanted_2`, `wanted_3` … that the problem does not use."""
    return next(name for name in _numbered(wanted) if name not in words_of(problem))


def _numbered(wanted: str) -> Iterator[str]:
    yield wanted
    number = 2
    while True:
        yield f"{wanted}_{number}"
        number += 1
