"""What within a paragraph is quoted, bracketed or an example: stretches that are not prose, and names found in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Stretch", "marked", "names_in"]

_QUOTED = re.compile(
    r"```.*?```|``.*?``|`[^`'\n]*[`']"  # code as Markdown, reStructuredText and TeX quote it
    r'|"[^"]*"'
    r"|(?<![\w)\]'])'(?!\s)[^']*'(?!\w)|(?<!\w)' '",  # behind a letter or bracket it is an apostrophe
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


class Stretch(NamedTuple):
    """From where to where in a text."""

    start: int
    stop: int

    def meets(self, other: Stretch) -> bool:
        """Return whether they have a character in common."""
        return self.start < other.stop and other.start < self.stop


def marked(text: str) -> Sequence[Stretch]:
    """Find what in a paragraph is quoted, bracketed or part of an example sentence.

    Round brackets with three plain words or more ("(be aware of numerics)") are prose; with fewer they may be a tuple.
    What is opened and not closed reaches to the end of its line.
    """
    quoted = [Stretch(*found.span()) for found in _QUOTED.finditer(text)]
    rest = _blanked(text, quoted)
    for pattern in (_UNCLOSED, _SINGLE_UNCLOSED):
        quoted += [Stretch(*found.span()) for found in pattern.finditer(rest)]
    rest = _blanked(text, quoted)
    return [*quoted, *_bracketed(rest), *_examples(rest)]


def names_in(body: str) -> frozenset[str]:
    """Find words of a docstring that it uses as names somewhere: quoted alone, assigned, called or in a tuple."""
    found = {name for names in _ASSIGNED.findall(body) for name in names}
    for quoted in _QUOTED.findall(body):
        inner = quoted.strip("`'\"")
        found |= {inner} if _NAME.fullmatch(inner) else set()
    for tuple_ in re.findall(r"\(([^()\n]*,[^()\n]*)\)", body):
        parts = [part.strip() for part in tuple_.split(",")]
        found |= set(parts) if all(_NAME.fullmatch(part) for part in parts) else set()
    return frozenset(found - {""})


def _blanked(text: str, stretches: Sequence[Stretch]) -> str:
    """Put a neutral sign in place of what is settled, so that its quotes and brackets do not count again."""
    letters = list(text)
    for start, stop in stretches:
        letters[start:stop] = ("\n" if letter == "\n" else "\0" for letter in letters[start:stop])
    return "".join(letters)


def _bracketed(text: str) -> Iterator[Stretch]:
    opened: list[int] = []
    for at, letter in enumerate(text):
        if letter in _BRACKETS:
            opened.append(at)
        elif opened and letter == _BRACKETS[text[opened[-1]]]:
            start = opened.pop()
            if not _is_remark(text, start, at):
                yield Stretch(start, at + 1)
    for start in opened:
        end = text.find("\n", start)
        yield Stretch(start, len(text) if end < 0 else end)


def _is_remark(text: str, start: int, stop: int) -> bool:
    """Return whether round brackets hold plain words, and do not belong to a call."""
    called = start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_\0")
    inner = " ".join(text[start + 1 : stop].split())
    return text[start] == "(" and not called and bool(_PLAIN.fullmatch(inner))


def _examples(text: str) -> Iterator[Stretch]:
    for found in _EXAMPLE.finditer(text):
        end = _SENTENCE_END.search(text, found.end())
        yield Stretch(found.start(), end.end() if end else len(text))
