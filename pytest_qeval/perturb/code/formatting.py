"""Perturbations of the format of code: blanks, line ends, indentation, and comments instead of the docstring.

The end of a prompt is part of it (`new_line_after_code` adds one line end), so nothing on the way to the tokenizer may
strip the prompt: these perturbations would measure nothing.
"""

from __future__ import annotations

import ast
import random
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise

from pytest_qeval.perturb.base import Perturbation, on_source
from pytest_qeval.perturb.source import Edit, Function, Source, apply_edits, docstring_of
from pytest_qeval.schema import Problem

_SHARE = 0.5
_TAB_WIDTH = 4


def _split_lines(problem: Problem, source: Source, _rng: random.Random) -> Problem:
    """Break the longest line of given code that has a gap between tokens, near its middle."""
    for start, end in sorted(_code_lines(source), key=lambda line: line[0] - line[1]):
        gap = _middle_gap(source, start, end)
        if gap:
            text = f" \\\n{source.indentation(start)}{source.indent_unit(start)}"
            return apply_edits(problem, [Edit(start=gap[0], end=gap[1], text=text)])
    return problem


def _code_lines(source: Source) -> Iterator[tuple[int, int]]:
    """Return begin and end of each line in the given half, after the docstring and outside strings."""
    offset = _body_start(source)
    while offset < source.cut:
        end = source.next_line(offset)
        if not source.is_inside_string(offset):
            yield offset, end
        offset = end


def _body_start(source: Source) -> int:
    """Return the line after the docstring, or that of the first statement where there is no docstring."""
    if source.docstring:
        return source.next_line(source.end(source.docstring))
    return source.line_start(source.start(source.function.body[0]))


def _middle_gap(source: Source, start: int, end: int) -> tuple[int, int] | None:
    """Return the blanks between two tokens of a line that are nearest to its middle, but not before a comment."""
    inside = [
        (token, low, high)
        for token, low, high in source.tokens
        if start <= low and high < end and high > low and token.string.strip()
    ]
    gaps = [
        (high, low)
        for (_, _, high), (token, low, _) in pairwise(inside)
        if low > high and token.type != tokenize.COMMENT and not source.is_inside_string(low)
    ]
    first = inside[0][1] if inside else start
    middle = (first + end) / 2
    return min(gaps, key=lambda gap: abs((gap[0] + gap[1]) / 2 - middle), default=None)


def _new_lines(problem: Problem, source: Source, rng: random.Random) -> Problem:
    """Insert an empty line after lines of given code, at least one."""
    ends = _line_ends(source)
    chosen = [end for end in ends if rng.random() < _SHARE]
    return _with_empty_lines(problem, chosen or ([rng.choice(ends)] if ends else []))


def _new_line_after_code(problem: Problem, source: Source, _rng: random.Random) -> Problem:
    """Insert an empty line at the end of the prompt; within an open string that would be another program."""
    return _with_empty_lines(problem, [end for end in _line_ends(source) if end == source.cut])


def _new_line_after_doc(problem: Problem, source: Source, _rng: random.Random) -> Problem:
    """Insert an empty line after the docstring."""
    return _with_empty_lines(problem, _line_ends(source)[:1] if source.docstring else [])


def _line_ends(source: Source) -> Sequence[int]:
    """Return the offsets after the given lines of code that end neither in a string nor with a backslash."""
    start = source.end(source.docstring) if source.docstring else _body_start(source)
    ends = (high for token, _, high in source.tokens if token.type in {tokenize.NEWLINE, tokenize.NL})
    return [end for end in ends if start < end <= source.cut and source.text[end - 1] == "\n"]


def _with_empty_lines(problem: Problem, offsets: Sequence[int]) -> Problem:
    return apply_edits(problem, [Edit(start=offset, end=offset, text="\n") for offset in offsets])


def _tab_indent(problem: Problem, source: Source, _rng: random.Random) -> Problem:
    """Indent prompt and canonical solution with tabs, the docstring included; other strings stay."""
    changed = apply_edits(problem, _tab_edits(source))
    return changed if Source.of(changed) else problem


def _tab_edits(source: Source) -> Iterator[Edit]:
    """Return the new indentation of every line outside strings; docstrings are prose, unlike other strings."""
    depths = _depths(source)
    functions = (node for node in ast.walk(source.tree) if isinstance(node, Function))
    docstrings = {(source.start(found), source.end(found)) for found in map(docstring_of, functions) if found}
    strings = {*source.string_spans} - docstrings
    offset = 0
    while offset < len(source.text):
        blanks = source.indentation(offset)
        has_text = source.text[offset : source.next_line(offset)].strip()
        if blanks and has_text and not any(low < offset < high for low, high in strings):
            levels, rest = divmod(len(blanks.expandtabs(_TAB_WIDTH)), _TAB_WIDTH)
            indent = "\t" * depths[offset] if offset in depths else "\t" * levels + " " * rest
            yield Edit(start=offset, end=offset + len(blanks), text=indent)
        offset = source.next_line(offset)


def _depths(source: Source) -> Mapping[int, int]:
    """Return the number of blocks around each line that begins a statement, by the offset of the line."""
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


def _doc_to_comments(problem: Problem, source: Source, _rng: random.Random) -> Problem:
    """Write the lines of the docstring as comments; empty lines stay empty."""
    if source.docstring is None or not source.is_first_on_line(source.start(source.docstring)):
        return problem
    start, end = source.start(source.docstring), source.end(source.docstring)
    if source.text[end : source.next_line(end)].strip() or len(source.function.body) == 1:
        return problem  # something else on its last line, or no statement but the docstring
    literal = source.text[start:end].lstrip("rRuUbB")
    quotes = 3 if literal[:3] in {'"""', "'''"} else 1
    blanks = source.indentation(start)
    first, *others = literal[quotes:-quotes].split("\n")
    lines = [first.lstrip(), *(line.removeprefix(blanks) for line in others)]
    kept = lines[0 if lines[0] else 1 : len(lines) if lines[-1].strip() else -1]
    comments = "\n".join(f"{blanks}# {line}" if line.strip() else line for line in kept)
    return apply_edits(problem, [Edit(start=source.line_start(start), end=end, text=comments)])


_of_format = partial(
    Perturbation,
    category="format",
    level="format",
    form="half",
    invariant="Every token of the program stays, and so does every string.",
    random=False,
)

SPLIT_LINES = _of_format(
    name="split_lines",
    summary="longest line of the given half broken near its middle with a backslash",
    apply=on_source(_split_lines),
)
NEW_LINES = _of_format(
    name="new_lines",
    summary="an empty line after each line of the given half with probability 0.5, at least one",
    apply=on_source(_new_lines),
    random=True,
)
NEW_LINE_AFTER_CODE = _of_format(
    name="new_line_after_code",
    summary="one more empty line at the end of the prompt",
    apply=on_source(_new_line_after_code),
)
NEW_LINE_AFTER_DOC = _of_format(
    name="new_line_after_doc",
    summary="one more empty line after the docstring",
    apply=on_source(_new_line_after_doc),
)
TAB_INDENT = _of_format(
    name="tab_indent",
    summary="indentation with tabs instead of blanks, in the docstring too",
    invariant="The program stays; the canonical solution is indented alike, so a completion has to continue the tabs.",
    apply=on_source(_tab_indent),
)
DOC_TO_COMMENTS = _of_format(
    name="doc_to_comments",
    summary="docstring turned into comment lines",
    invariant="Every line of the docstring and of the code keeps its text and place.",
    apply=on_source(_doc_to_comments),
)
