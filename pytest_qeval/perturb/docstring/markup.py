"""Find what in a docstring is not prose: examples, headings, code and formulas by line; quotations and brackets within.

In doubt a line or a stretch is not prose: a sentence that is left alone weakens a perturbation, a changed example
changes the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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

_QUOTED = re.compile(
    r"```.*?```|``.*?``|`[^`'\n]*[`']"  # code as Markdown, reStructuredText and TeX quote it
    r'|"[^"]*"'
    r"|(?<![\w)\]'])'(?!\s)[^']*'(?!\w)|(?<!\w)' '",  # after a letter or bracket it is an apostrophe
    re.DOTALL,
)
_UNCLOSED = re.compile(r"[\"`“”‘][^\n]*")  # noqa: RUF001
_SINGLE_UNCLOSED = re.compile(r"(?<![\w)\]'])'[^\n]*")
_EXAMPLE = re.compile(r"\b(?:for example|example,|e\.g\.|eg\.|i\.e\.|such as)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z]|\s*$)")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_PLAIN = re.compile(r"\s*[A-Za-z][a-z'-]*(?:,? [A-Za-z]?[a-z'-]+){2,}[.]?\s*")
_NAME = re.compile(r"[A-Za-z_]\w*")
_ASSIGNED = re.compile(r"@(\w+)|\b([A-Za-z_]\w*)(?:\s*=(?![=>])|\(|\[)")


class Span(NamedTuple):
    """Begin and end of a part of a text."""

    start: int
    stop: int

    def overlaps(self, other: Span) -> bool:
        """Return whether both have a character in common."""
        return self.start < other.stop and other.start < self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class DocLine:
    """A line of a docstring, without its line end."""

    start: int
    """Offset in the docstring."""
    text: str
    indent: int
    """Blanks in front, less those that all lines have."""

    @property
    def stop(self) -> int:
        """Offset of its end."""
        return self.start + len(self.text)

    @property
    def bullet(self) -> int:
        """Length of the blanks and the mark that begin a list item, else 0."""
        found = _BULLET.match(self.text)
        return found.end() if found else 0


def paragraphs(body: str, entry_point: str) -> Sequence[Sequence[DocLine]]:
    """Return the lines of a docstring that may hold prose, grouped by paragraph and list item."""
    groups: list[list[DocLine]] = [[]]
    for line, is_prose in _classify(_lines(body), entry_point):
        if not is_prose or line.bullet:
            groups.append([])
        if is_prose:
            groups[-1].append(line)
    return [group for group in groups if group]


def _lines(body: str) -> Iterator[DocLine]:
    texts = body.split("\n")
    blanks = [len(text) - len(text.lstrip()) for text in texts]
    common = min((blank for blank, text in zip(blanks[1:], texts[1:], strict=True) if text.strip()), default=0)
    start = 0
    for number, (text, blank) in enumerate(zip(texts, blanks, strict=True)):
        # The first line begins after the quotes, so that its blanks say nothing.
        yield DocLine(start=start, text=text, indent=blank - common if number else 0)
        start += len(text) + 1


def _classify(lines: Iterator[DocLine], entry_point: str) -> Iterator[tuple[DocLine, bool]]:
    """Return each line with whether it may hold prose.

    A heading ("For example:") excludes everything up to a paragraph that is not indented deeper and does not begin with
    code; a doctest or a lone call excludes what follows it, its output, up to an empty line.
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


def _is_code(line: DocLine, entry_point: str) -> bool:
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


def find_marked(text: str) -> Sequence[Span]:
    """Find the parts of a paragraph that are quoted, bracketed or in an example sentence.

    Round brackets with three plain words or more ("(be aware of numerics)") are prose; with fewer they may be a tuple.
    A quotation or bracket that is not closed reaches to the end of its line.
    """
    quoted = [Span(*found.span()) for found in _QUOTED.finditer(text)]
    rest = _mask(text, quoted)
    for pattern in (_UNCLOSED, _SINGLE_UNCLOSED):
        quoted += [Span(*found.span()) for found in pattern.finditer(rest)]
    rest = _mask(text, quoted)
    return [*quoted, *_bracketed(rest), *_examples(rest)]


def _mask(text: str, spans: Sequence[Span]) -> str:
    """Replace what is found already with NUL, so that its quotes and brackets do not count again."""
    for start, stop in spans:
        text = text[:start] + re.sub(r"[^\n]", "\0", text[start:stop]) + text[stop:]
    return text


def _bracketed(text: str) -> Iterator[Span]:
    opened: list[int] = []
    for at, letter in enumerate(text):
        if letter in _BRACKETS:
            opened.append(at)
        elif opened and letter == _BRACKETS[text[opened[-1]]]:
            start = opened.pop()
            if not _is_remark(text, start, at):
                yield Span(start, at + 1)
    for start in opened:
        end = text.find("\n", start)
        yield Span(start, len(text) if end < 0 else end)


def _is_remark(text: str, start: int, stop: int) -> bool:
    """Return whether round brackets hold plain words, and do not belong to a call."""
    called = start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_\0")
    inner = " ".join(text[start + 1 : stop].split())
    return text[start] == "(" and not called and bool(_PLAIN.fullmatch(inner))


def _examples(text: str) -> Iterator[Span]:
    for found in _EXAMPLE.finditer(text):
        end = _SENTENCE_END.search(text, found.end())
        yield Span(found.start(), end.end() if end else len(text))


def names_in(body: str) -> frozenset[str]:
    """Return the words that a docstring uses as names somewhere: quoted alone, assigned, called or in a tuple."""
    found = {name for names in _ASSIGNED.findall(body) for name in names}
    quoted = (literal.strip("`'\"") for literal in _QUOTED.findall(body))
    found.update(inner for inner in quoted if _NAME.fullmatch(inner))
    for inner in re.findall(r"\(([^()\n]*,[^()\n]*)\)", body):
        parts = [part.strip() for part in inner.split(",")]
        found |= set(parts) if all(_NAME.fullmatch(part) for part in parts) else set()
    return frozenset(found - {""})
