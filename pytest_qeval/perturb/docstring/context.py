"""What stands before a word of prose, which tells how it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_qeval.perturb.docstring.prose_marks import Stretch
from pytest_qeval.perturb.docstring.words import listed

__all__ = ["before", "begins_sentence", "follows_determiner", "sentence", "whole_words"]

_WORD = re.compile(r"(?<![A-Za-z'-])[A-Za-z]+(?![A-Za-z'-])")
_BEFORE = re.compile(r"(\S+)\s+$")
_MARKS = "\"'`()[],;:*-"
_REACH = 80
"""Characters to look back; a line is about as long."""
_SENTENCE_END = re.compile(r"(?:[.!?:]['\")\]]*|\"\"\"|'''|\n\s*(?:[-*•]|\d+[.)]))\s*$|\n[ \t]*\n\s*$")
_SENTENCE = re.compile(r"(?:[.!?:](?=\s)|\"\"\"|'''|\n[ \t]*\n)((?:(?![.!?:]\s|\n[ \t]*\n).)*)$", re.DOTALL)
_LONGEST = 400
"""Characters of a sentence that are looked at."""
_DETERMINERS = listed(
    """
    a all an another any as both by each every few first for from given her his in its last many most my next no of
    on one only other our same second several single some the their these third this those three total two under
    with without your
    """
)
"""Words after which a verb in its plain form or with -s is none."""


def whole_words(prompt: str, span: Stretch) -> Iterator[tuple[int, str]]:
    """Return where each word of a span begins, and the word; no part of a compound ("non-empty") and no contraction."""
    for found in _WORD.finditer(prompt, span.start, span.stop):
        yield found.start(), found[0]


def before(prompt: str, start: int) -> str:
    """Return the word before a place, in lower case and without marks; empty at the very beginning."""
    found = _BEFORE.search(prompt, max(0, start - _REACH), start)
    return found[1].strip(_MARKS).lower() if found else ""


def begins_sentence(prompt: str, start: int) -> bool:
    """Return whether a sentence, a list item or the docstring begins at this place."""
    return bool(_SENTENCE_END.search(prompt, max(0, start - _REACH), start))


def sentence(prompt: str, start: int) -> str:
    """Return what its sentence says before a place."""
    found = _SENTENCE.search(prompt, max(0, start - _LONGEST), start)
    return found[1] if found else prompt[max(0, start - _LONGEST) : start]


def follows_determiner(prompt: str, start: int) -> bool:
    """Return whether what stands before asks for a noun."""
    return before(prompt, start) in _DETERMINERS and not begins_sentence(prompt, start)
