"""Which lines of a docstring may hold prose: examples, headings, code and formulas do not.

When in doubt a line is none: a sentence that is left alone weakens a perturbation, a changed example changes the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Line", "paragraphs"]

_HEADING = re.compile(
    r"\W*(?:for |see |some )?(?:[\w/\[\]]+ )?(?:exam[pb]le|sample|test case|usage|doctest)s?\s*\d*\s*[:.]?\s*",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\s*\w+\s*:\s*")
_INPUT_OR_OUTPUT = re.compile(r"\s*(?:in|out)puts?\s*:|\s*explanation\s*:", re.IGNORECASE)
_DOCTEST = re.compile(r"\s*(?:>>>|\.\.\.)")
_CODE = re.compile(r"\s*(?:[#@$|]|```|assert |import |from \w+ import |def |class \w+:|print\()")
_OPERATOR = re.compile(r"==|[=\-]>|[<>!:+*/-]=|[^\x00-\x7f‘’“”…]|(?:^|\s)[=<>+*/%|&^~!-]+(?=\s|$)")  # noqa: RUF001
_BULLET = re.compile(r"\s*(?:[-*•]|\d+[.)])\s+")
_TABLE = re.compile(r"\S\s{3,}\S.*\S\s{3,}\S")
_CALL = re.compile(r"\s*[\w.]+\(.*\)\s*")
_DEEPER = 2
"""Blanks by which a line that is no list item must be indented to count as a block of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a docstring: where it begins and ends in it, without its line end."""

    start: int
    stop: int
    text: str
    indent: int
    """Blanks in front, less those that all lines have."""

    @property
    def bullet(self) -> int:
        """The length of the blanks and the mark with which a list item begins, else 0."""
        found = _BULLET.match(self.text)
        return found.end() if found else 0


def paragraphs(body: str, entry_point: str) -> Iterator[Sequence[Line]]:
    """Return the lines of a docstring that may hold prose, those together that follow each other."""
    together: list[Line] = []
    for line, is_prose in _judged(_lines(body), entry_point):
        if together and (not is_prose or line.bullet):
            yield together
            together = []
        if is_prose:
            together.append(line)
    if together:
        yield together


def _lines(body: str) -> Sequence[Line]:
    texts = body.split("\n")
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + len(text) + 1)
    blanks = [len(text) - len(text.lstrip()) for text in texts]
    common = min((blank for blank, text in zip(blanks[1:], texts[1:], strict=True) if text.strip()), default=0)
    # The first line begins behind the quotes, so that its blanks say nothing.
    return [
        Line(start=start, stop=start + len(text), text=text, indent=blank - common if number else 0)
        for number, (start, text, blank) in enumerate(zip(starts, texts, blanks, strict=False))
    ]


def _judged(lines: Sequence[Line], entry_point: str) -> Iterator[tuple[Line, bool]]:
    """Go through the lines and tell of each whether it may hold prose.

    A heading ("For example:") takes everything up to a paragraph that is not indented deeper and does not begin with
    code; a doctest or a lone call takes what follows it, its output, up to an empty line.
    """
    heading: int | None = None
    after_blank = output = False
    for line in lines:
        code = _is_code(line, entry_point)
        if not line.text.strip():
            after_blank, output = True, False
            yield line, False
            continue
        if _HEADING.fullmatch(line.text):
            heading = line.indent
        elif heading is not None and after_blank and line.indent <= heading and not code:
            heading = None
        yield line, heading is None and not output and not code
        after_blank = False
        output = output or bool(_DOCTEST.match(line.text) or _CALL.fullmatch(line.text))


def _is_code(line: Line, entry_point: str) -> bool:
    text = line.text[line.bullet :]
    shown = re.search(rf"\b{re.escape(entry_point)}\((?!\))", text)  # `name()` alone only mentions it
    return bool(
        shown
        or (line.indent >= _DEEPER and not line.bullet)
        or any(pattern.match(text) for pattern in (_INPUT_OR_OUTPUT, _DOCTEST, _CODE))
        or _SECTION.fullmatch(text)
        or _OPERATOR.search(text)
        or _TABLE.search(text)
        or "\t" in text.strip()
    )
