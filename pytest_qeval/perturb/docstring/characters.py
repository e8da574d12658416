"""Perturbations of single characters of a docstring: typing errors, swapped letters, case and blanks.

Strengths are ReCode's (Wang et al., 2022, arXiv:2212.10264), counted per letter of prose. ReCode perturbs more of a
docstring, code included.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import partial

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.edits import INVARIANT, ProseEdit, edit_docstring
from pytest_qeval.perturb.docstring.markup import Span
from pytest_qeval.perturb.docstring.words import WORD
from pytest_qeval.perturb.keyboard import KEYS, NEIGHBOURS

_TYPO = 0.05
"""Per letter; ReCode's ButterFingersPerturbation and SwapCharactersPerturbation."""
_FLIP = 0.35
"""Per letter; ReCode's ChangeCharCase."""
_REMOVED, _ADDED = 0.1, 0.05
"""Per blank and per letter; ReCode's WhitespacePerturbation."""

_SHORTEST = 3
"""Letters below which a word is left alone: `of`, `or`, `on` and `in` are typing errors of each other."""
_PIECE = 2
"""Least number of letters on each side of an added blank: a single one would read as a variable."""


def _letters(prompt: str, span: Span, shortest: int) -> Iterator[tuple[int, int]]:
    """Return the offset of every letter of the span's words, and the end of its run of letters."""
    for run in re.finditer("[A-Za-z]+", prompt[span.start : span.stop]):
        if len(run[0]) >= shortest:
            for at in range(run.start(), run.end()):
                yield span.start + at, span.start + run.end()


def _typos(prompt: str, span: Span, rng: random.Random) -> Iterator[ProseEdit]:
    for at, _ in _letters(prompt, span, _SHORTEST):
        key = rng.choice(sorted(NEIGHBOURS[prompt[at].lower()], key=KEYS.index))
        yield ProseEdit(at, at + 1, key.upper() if prompt[at].isupper() else key, _TYPO)


def _swaps(prompt: str, span: Span, _rng: random.Random) -> Iterator[ProseEdit]:
    for at, end in _letters(prompt, span, _SHORTEST):
        if at + 1 < end and prompt[at].lower() != prompt[at + 1].lower():
            yield ProseEdit(at, at + 2, prompt[at + 1] + prompt[at], _TYPO)


def _flips(prompt: str, span: Span, _rng: random.Random) -> Iterator[ProseEdit]:
    for at, _ in _letters(prompt, span, 2):
        yield ProseEdit(at, at + 1, prompt[at].swapcase(), _FLIP)


def _blanks(prompt: str, span: Span, _rng: random.Random) -> Iterator[ProseEdit]:
    text = prompt[span.start : span.stop]
    for blanks in re.finditer(" +", text):
        at = span.start + blanks.start()
        yield ProseEdit(at, at + 1, "", _REMOVED)
    for word in WORD.finditer(text):
        for at in range(span.start + word.start() + _PIECE, span.start + word.end() - _PIECE + 1):
            yield ProseEdit(at, at, " ", _ADDED)


_of_characters = partial(Perturbation, category="docstring", level="character")

BUTTER_FINGERS = _of_characters(
    name="butter_fingers",
    summary=f"letters of the docstring's prose are replaced by neighbouring keys ({_TYPO:.0%} of them, one at least)",
    invariant=INVARIANT,
    apply=partial(edit_docstring, edits=_typos),
)
SWAP_CHARACTERS = _of_characters(
    name="swap_characters",
    summary=f"neighbouring letters within words of the docstring's prose are swapped ({_TYPO:.0%}, one at least)",
    invariant=INVARIANT,
    apply=partial(edit_docstring, edits=_swaps),
)
CHANGE_CASE = _of_characters(
    name="change_case",
    summary=f"letters of the docstring's prose change case ({_FLIP:.0%} of them)",
    invariant=f"{INVARIANT} Letter by letter the text is the same but for case.",
    apply=partial(edit_docstring, edits=_flips, forbidden=()),
)
WHITESPACE = _of_characters(
    name="whitespace",
    summary=(
        f"blanks between words of the docstring's prose are removed ({_REMOVED:.0%}) and others put into words "
        f"({_ADDED:.0%} of their letters)"
    ),
    invariant=f"{INVARIANT} Without blanks the text is the same.",
    apply=partial(edit_docstring, edits=_blanks),
)
