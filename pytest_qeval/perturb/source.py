"""The program of a problem: prompt and canonical solution parsed as one text, and edits that keep all other text.

Half a solution may not parse (an open block, an open bracket). Edits are therefore made to prompt and canonical
solution together, and the text is cut where it was before. Everything outside an edit stays the same, byte for byte.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain, count

from pytest_qeval.schema import Problem

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace the text between two offsets of the program; an insertion where both are equal."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)  # no slots: cached properties need `__dict__`
class Text:
    """A program, its syntax tree, and the positions of nodes and tokens in it."""

    text: str
    tree: ast.Module

    @cached_property
    def _line_starts(self) -> Sequence[int]:
        return [0, *(match.end() for match in re.finditer("\r\n?|\n", self.text))]

    def _offset(self, line: int, byte_column: int) -> int:
        """Convert a position of `ast`: lines count from 1, columns in bytes of UTF-8."""
        start = self._line_starts[line - 1]
        return start + len(self.text[start : start + byte_column].encode()[:byte_column].decode())

    def start(self, node: ast.stmt | ast.expr) -> int:
        """Return the offset where a node begins, without its decorators."""
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.stmt | ast.expr) -> int:
        """Return the offset where a node ends."""
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def segment(self, node: ast.stmt | ast.expr) -> str:
        """Return the text of a node."""
        return self.text[self.start(node) : self.end(node)]

    def line_start(self, offset: int) -> int:
        """Return the offset of the first character of the line."""
        return self.text.rfind("\n", 0, offset) + 1

    def next_line(self, offset: int) -> int:
        """Return the offset of the first character of the next line, or the end of the text."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end + 1

    def indentation(self, offset: int) -> str:
        """Return the blanks at the beginning of the line."""
        line = self.text[self.line_start(offset) : self.next_line(offset)]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def indent_unit(self, offset: int) -> str:
        """Return what indents one level more in the block of the line."""
        return "\t" if "\t" in self.indentation(offset) else "    "

    def is_first_on_line(self, offset: int) -> bool:
        """Return whether only blanks precede the offset on its line."""
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

    @cached_property
    def string_spans(self) -> Sequence[tuple[int, int]]:
        """Begin and end of every string literal; an f-string is one literal in every version of Python."""
        spans: list[tuple[int, int]] = []
        open_at: list[int] = []
        for token, low, high in self.tokens:
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

    def is_inside_string(self, offset: int) -> bool:
        """Return whether the offset lies within a string literal."""
        return any(low < offset < high for low, high in self.string_spans)


def parse_program(text: str) -> ast.Module | None:
    """Parse a program; None where it does not compile (`return` outside a function parses, but does not)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes and comparisons in the data's own code
        try:
            tree = ast.parse(text)
            compile(tree, "<problem>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return None
    return tree


@dataclass(frozen=True, kw_only=True)
class Source(Text):
    """Prompt and canonical solution as one text, with the function that the problem asks for."""

    cut: int
    """Offset where the prompt ends."""
    function: Function

    @classmethod
    @lru_cache(maxsize=64)  # all perturbations and seeds of one problem parse the same program
    def of(cls, problem: Problem) -> Source | None:
        """Parse a problem; None where it does not compile or does not define its entry point at module level."""
        text = problem.prompt + problem.canonical_solution
        if "\r" in text or "\f" in text:  # `tokenize` and Python disagree about whether they end a line
            return None
        tree = parse_program(text)
        nodes = tree.body if tree else ()
        named = [node for node in nodes if isinstance(node, Function) and node.name == problem.entry_point]
        return cls(text=text, cut=len(problem.prompt), tree=tree, function=named[-1]) if tree and named else None

    @property
    def docstring(self) -> ast.Expr | None:
        """The docstring of the function."""
        return docstring_of(self.function)


def docstring_of(block: Function | ast.Module) -> ast.Expr | None:
    """Return the string that a function or a module begins with; imports may precede it, as in HumanEval/115."""
    first = next((node for node in block.body if not isinstance(node, ast.Import | ast.ImportFrom)), None)
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first
    return None


def walk_outside_f_strings(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, but not into f-strings, whose positions are wrong before Python 3.12."""
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from walk_outside_f_strings(child)


def bound_names(node: ast.AST) -> Sequence[str]:
    """Return the names that a node itself binds: an assigned name, parameter, definition, import, `except … as` …."""
    match node:
        case ast.Name():
            return [] if isinstance(node.ctx, ast.Load) else [node.id]
        case ast.arg():
            return [node.arg]
        case ast.alias():
            return [(node.asname or node.name).partition(".")[0]]
    bound = getattr(node, "name", None) or getattr(node, "rest", None)  # `rest` of a mapping pattern
    return [bound] if isinstance(bound, str) else []


def apply_edits(problem: Problem, edits: Iterable[Edit]) -> Problem:
    """Apply edits that do not overlap; an insertion where the prompt ends belongs to the prompt.

    Return the same object without edits, or where an edit spans the end of the prompt.
    """
    cut = len(problem.prompt)
    prompt, solution = problem.prompt, problem.canonical_solution
    backwards = sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True)
    for edit in backwards:
        if edit.end <= cut:
            prompt = prompt[: edit.start] + edit.text + prompt[edit.end :]
        elif edit.start >= cut:
            solution = solution[: edit.start - cut] + edit.text + solution[edit.end - cut :]
        else:
            return problem
    return replace(problem, prompt=prompt, canonical_solution=solution) if backwards else problem


def apply_first_valid(problem: Problem, candidates: Iterable[Iterable[Edit]]) -> Problem:
    """Apply the first change that alters the prompt and leaves a program with another syntax tree."""
    original = Source.of(problem)
    for edits in candidates:
        changed = apply_edits(problem, edits)
        source = None if changed.prompt == problem.prompt else Source.of(changed)
        if original and source and ast.dump(source.tree) != ast.dump(original.tree):
            return changed
    return problem


def words_of(problem: Problem) -> frozenset[str]:
    """Return every word of a problem, prose included: any other name is free."""
    return frozenset(re.findall(r"\w+", f"{problem.prompt}\n{problem.canonical_solution}\n{problem.test}"))


def fresh_name(wanted: str, problem: Problem) -> str:
    """Return the wanted name, or the first of `wanted_2`, `wanted_3` … that the problem does not use."""
    taken = words_of(problem)
    return next(name for name in chain([wanted], (f"{wanted}_{i}" for i in count(2))) if name not in taken)
