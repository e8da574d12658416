"""Break long lines for a narrow terminal, which would cut them in the middle of a word or number."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator

from pytest_qeval.report.text import Line

_INDENT = 4
_NARROWEST = 20
"""Columns below which nothing is broken: an indented rest would not fit."""


def fit(lines: Iterable[Line], *, is_terminal: bool) -> Iterable[Line]:
    """Return lines no wider than the terminal; as they are where there is none, as in a pipe or a log.

    `COLUMNS` alone names no width: readline, which pytest imports, sets it for every process that is started later.
    """
    return fold_lines(lines, shutil.get_terminal_size().columns) if is_terminal else lines


def fold_lines(lines: Iterable[Line], width: int) -> Iterator[Line]:
    """Yield lines of at most so many columns, as far as their words are not longer."""
    for line in lines:
        for text in fold(line.text, width):
            yield Line(text, line.colour)


def fold(text: str, width: int) -> Iterator[str]:
    """Yield the parts of a line: a table's row is broken between its columns, a sentence at a blank."""
    indent = " " * (len(text) - len(text.lstrip()) + _INDENT)
    if width < _NARROWEST + len(indent):
        yield text
        return
    while len(text) > width and (end := _end(text, width)):
        yield text[:end].rstrip()
        text = indent + text[end:].lstrip()
    yield text


def _end(text: str, width: int) -> int:
    """Return where to break; 0 where the rest is one word."""
    start = len(text) - len(text.lstrip())
    for gap in ("  ", " "):
        end = text.rfind(gap, start, width + len(gap))
        if end > start:
            return end
    return max(text.find(" ", width), 0)
