"""The layout of the given code, perturbed: tabs for blanks, comments for the docstring."""

from __future__ import annotations

import ast
import random
import tokenize
from collections.abc import Iterator, Mapping

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.source import Edit, Function, Source, description, edited, string_spans
from pytest_qeval.schema import Problem

__all__ = ["DOC_TO_COMMENTS", "TAB_INDENT"]

_WIDTH = 4


def _tab_indent(problem: Problem, _rng: random.Random) -> Problem:
    """Indent prompt and canonical solution with tabs, the docstring too; strings of the code stay."""
    source = Source.of(problem)
    if source is None:
        return problem
    changed = edited(problem, _tabs(source))
    return changed if changed and Source.of(changed) else problem


def _tabs(source: Source) -> Iterator[Edit]:
    """Return the new indentation of every line outside strings."""
    depths = _depths(source)
    spans = sorted({*string_spans(source)} - {*_docstrings(source)})
    offset = 0
    while offset < len(source.text):
        blanks = source.indentation(offset)
        has_text = source.text[offset : source.next_line(offset)].strip()
        if blanks and has_text and not any(low < offset < high for low, high in spans):
            levels, rest = divmod(len(blanks.expandtabs(_WIDTH)), _WIDTH)
            indent = "\t" * depths[offset] if offset in depths else "\t" * levels + " " * rest
            yield Edit(start=offset, end=offset + len(blanks), text=indent)
        offset = source.next_line(offset)


def _docstrings(source: Source) -> Iterator[tuple[int, int]]:
    """Return begin and end of the docstrings of all functions: prose, unlike other strings."""
    functions = (node for node in ast.walk(source.tree) if isinstance(node, Function))
    for found in map(description, functions):
        if found:
            yield source.start(found), source.end(found)


def _depths(source: Source) -> Mapping[int, int]:
    """Return how many blocks each line that begins a statement is in, by the offset of the line."""
    depths: dict[int, int] = {}
    depth, begins = 0, True
    for token, low, _ in source.tokens:
        if token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif token.type == tokenize.NEWLINE:
            begins = True
        elif begins and token.type not in {tokenize.NL, tokenize.COMMENT}:
            depths[source.line_start(low)] = depth
            begins = False
    return depths


def _doc_to_comments(problem: Problem, _rng: random.Random) -> Problem:
    """Write the docstring's lines as comments; empty ones stay empty."""
    source = Source.of(problem)
    if source is None or source.docstring is None or not source.is_first_on_line(source.start(source.docstring)):
        return problem
    start, end = source.start(source.docstring), source.end(source.docstring)
    if source.text[end : source.next_line(end)].strip() or len(source.function.body) == 1:
        return problem  # something else on its last line, or nothing but a docstring
    blanks = source.indentation(start)
    first, *others = _inside_quotes(source.text[start:end]).split("\n")
    lines = [first.lstrip(), *(line.removeprefix(blanks) for line in others)]
    kept = lines[0 if lines[0] else 1 : len(lines) if lines[-1].strip() else -1]
    comments = "\n".join(f"{blanks}# {line}" if line.strip() else line for line in kept)
    return edited(problem, [Edit(start=source.line_start(start), end=end, text=comments)]) or problem


def _inside_quotes(literal: str) -> str:
    """Return what a literal is written with between its quotes, escapes and all."""
    bare = literal.lstrip("rRuUbB")
    size = 3 if bare[:3] in {'"""', "'''"} else 1
    return bare[size:-size]


TAB_INDENT = Perturbation(
    name="tab_indent",
    category="format",
    level="format",
    form="half",
    summary="indentation with tabs instead of blanks, in the docstring too",
    invariant="The program stays; the canonical solution is indented alike, so an answer has to follow the tabs.",
    apply=_tab_indent,
    random=False,
)
DOC_TO_COMMENTS = Perturbation(
    name="doc_to_comments",
    category="format",
    level="format",
    form="half",
    summary="docstring turned into comment lines",
    invariant="Every line of the description stays where it is, and the code below it as it is.",
    apply=_doc_to_comments,
    random=False,
)
