"""The form of the given code, perturbed: blanks and line ends, with the same program behind them.

What ends a prompt is part of the question (`new_line_after_code` is nothing but one more line end), so nothing on the
way to the tokenizer may strip it: after a strip these perturbations measure nothing.
"""

from __future__ import annotations

import random
import tokenize
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.source import Edit, Source, edited, string_spans
from pytest_qeval.schema import Problem

__all__ = ["NEW_LINES", "NEW_LINE_AFTER_CODE", "NEW_LINE_AFTER_DOC", "SPLIT_LINES"]

_SHARE = 0.5


def _split_lines(problem: Problem, _rng: random.Random) -> Problem:
    """Break the longest line of given code that has a place for it, near its middle."""
    source = Source.of(problem)
    lines = [] if source is None else sorted(_lines(source), key=lambda line: line[0] - line[1])
    gaps = ((source, line, gap) for line in lines if source and (gap := _middle_gap(source, *line)))
    for source, (start, _), (low, high) in gaps:
        broken = f" \\\n{source.indentation(start)}{_unit(source, start)}"
        return edited(problem, [Edit(start=low, end=high, text=broken)]) or problem
    return problem


def _unit(source: Source, offset: int) -> str:
    return "\t" if "\t" in source.indentation(offset) else "    "


def _lines(source: Source) -> Iterator[tuple[int, int]]:
    """Return begin and end of each line of code in the given half, behind the docstring and outside strings."""
    offset = _body_start(source)
    spans = string_spans(source)
    while offset < source.cut:
        end = source.next_line(offset)
        if not any(low < offset < high for low, high in spans):
            yield offset, end
        offset = end


def _body_start(source: Source) -> int:
    """Return the line behind the docstring, or that of the first statement where there is none."""
    if source.docstring:
        return source.next_line(source.end(source.docstring))
    return source.line_start(source.start(source.function.body[0]))


def _middle_gap(source: Source, start: int, end: int) -> tuple[int, int] | None:
    """Return the blanks between two tokens of a line that are nearest to its middle; none before a comment."""
    spans = string_spans(source)
    inside = [
        (token, low, high)
        for token, low, high in source.tokens
        if start <= low and high < end and high > low and token.string.strip()
    ]
    gaps = [
        (high, low)
        for (_, _, high), (token, low, _) in pairwise(inside)
        if low > high and token.type != tokenize.COMMENT and not any(a < low < b for a, b in spans)
    ]
    first = inside[0][1] if inside else start
    middle = (first + end) / 2
    return min(gaps, key=lambda gap: abs((gap[0] + gap[1]) / 2 - middle), default=None)


def _new_lines(problem: Problem, rng: random.Random) -> Problem:
    """Insert an empty line behind lines of given code, behind at least one."""
    source = Source.of(problem)
    places = _line_ends(source) if source else ()
    if not places:
        return problem
    chosen = [place for place in places if rng.random() < _SHARE] or [rng.choice(places)]
    return edited(problem, [Edit(start=place, end=place, text="\n") for place in chosen]) or problem


def _line_ends(source: Source) -> Sequence[int]:
    """Return the offsets behind the given lines that end there: not in a string, and not by a backslash."""
    start = source.end(source.docstring) if source.docstring else _body_start(source)
    ends = (high for token, _, high in source.tokens if token.type in {tokenize.NEWLINE, tokenize.NL})
    return [end for end in ends if start < end <= source.cut and source.text[end - 1] == "\n"]


def _new_line_after_code(problem: Problem, _rng: random.Random) -> Problem:
    """End the prompt with one more line end; inside an open string that would be another program."""
    end = len(problem.prompt)
    changed = edited(problem, [Edit(start=end, end=end, text="\n")])
    source = Source.of(problem)
    is_code = source is not None and end in _line_ends(source)
    return changed if changed and is_code else problem


def _new_line_after_doc(problem: Problem, _rng: random.Random) -> Problem:
    """Insert an empty line behind the docstring."""
    source = Source.of(problem)
    if source is None or source.docstring is None:
        return problem
    ends = [end for end in _line_ends(source) if end >= source.end(source.docstring)]
    return (edited(problem, [Edit(start=ends[0], end=ends[0], text="\n")]) or problem) if ends else problem


_INVARIANT = "Every token of the program stays, and so does every string."

SPLIT_LINES = Perturbation(
    name="split_lines",
    category="format",
    level="format",
    form="half",
    summary="longest line of the given half broken near its middle with a backslash",
    invariant=_INVARIANT,
    apply=_split_lines,
    random=False,
)
NEW_LINES = Perturbation(
    name="new_lines",
    category="format",
    level="format",
    form="half",
    summary="an empty line behind each line of the given half with probability 0.5, at least one",
    invariant=_INVARIANT,
    apply=_new_lines,
)
NEW_LINE_AFTER_CODE = Perturbation(
    name="new_line_after_code",
    category="format",
    level="format",
    form="half",
    summary="one empty line more at the end of the prompt",
    invariant=_INVARIANT,
    apply=_new_line_after_code,
    random=False,
)
NEW_LINE_AFTER_DOC = Perturbation(
    name="new_line_after_doc",
    category="format",
    level="format",
    form="half",
    summary="one empty line more behind the docstring",
    invariant=_INVARIANT,
    apply=_new_line_after_doc,
    random=False,
)
