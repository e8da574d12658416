"""Perturbations of single characters: slips of the fingers, swapped letters, case and blanks.

Strengths are ReCode's (Wang et al., 2022, arXiv:2212.10264), counted per letter of prose. ReCode perturbs more of a
docstring, code included. Levenshtein distance to the prompt in characters, mean over HumanEval, seed 0 of ReCode's
release and seeds 0 to 4 of ours: slips 10.6 and 6.6, swaps 13.7 and 9.7, case 57.2 and 49.2, blanks 24.3 and 4.5
(ReCode also joins lines and takes blanks from examples).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from functools import partial

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.edits import Edit, edit_docstring
from pytest_qeval.perturb.docstring.prose_marks import Stretch
from pytest_qeval.perturb.docstring.words import WORD

__all__ = ["BUTTER_FINGERS", "CHANGE_CASE", "INVARIANT", "SWAP_CHARACTERS", "WHITESPACE"]

INVARIANT = "Code, names, literals and examples keep every character, and the docstring's quotes stay where they are."

SLIP = 0.05
"""Per letter; ReCode's ButterFingersPerturbation and SwapCharactersPerturbation."""
CASE = 0.35
"""Per letter; ReCode's ChangeCharCase."""
BLANK_REMOVED, BLANK_ADDED = 0.1, 0.05
"""Per blank and per letter; ReCode's WhitespacePerturbation."""

_SHORT = 3
"""Letters below which a word is left alone: `of`, `or`, `on` and `in` are slips of each other."""
_PIECE = 2
"""Letters that a torn word has on each side at least: a single one would read as a variable."""
_BLANKS = re.compile(" +")
_ROWS = {0.0: "qwertyuiop", 0.25: "asdfghjkl", 0.75: "zxcvbnm"}
_NEAR = 1.3
"""Key widths between the centres of neighbouring keys at most, on a keyboard whose rows are shifted like that."""


def _neighbours() -> Mapping[str, str]:
    places = {
        key: (shift + column, row) for row, (shift, keys) in enumerate(_ROWS.items()) for column, key in enumerate(keys)
    }
    return {
        key: "".join(
            other for other, (x, y) in places.items() if other != key and (x - column) ** 2 + (y - row) ** 2 < _NEAR**2
        )
        for key, (column, row) in places.items()
    }


_NEIGHBOURS = _neighbours()


def _letters(prompt: str, span: Stretch, shortest: int) -> Iterator[tuple[int, int]]:
    """Return the place of every letter of the span's words, and the end of its run of letters."""
    for run in re.finditer("[A-Za-z]+", prompt[span.start : span.stop]):
        if len(run[0]) >= shortest:
            for at in range(run.start(), run.end()):
                yield span.start + at, span.start + run.end()


def _slips(prompt: str, span: Stretch, rng: random.Random) -> Iterator[Edit]:
    for at, _ in _letters(prompt, span, _SHORT):
        key = rng.choice(_NEIGHBOURS[prompt[at].lower()])
        yield Edit(at, at + 1, key.upper() if prompt[at].isupper() else key, SLIP)


def _swaps(prompt: str, span: Stretch, _rng: random.Random) -> Iterator[Edit]:
    for at, end in _letters(prompt, span, _SHORT):
        if at + 1 < end and prompt[at].lower() != prompt[at + 1].lower():
            yield Edit(at, at + 2, prompt[at + 1] + prompt[at], SLIP)


def _flips(prompt: str, span: Stretch, _rng: random.Random) -> Iterator[Edit]:
    for at, _ in _letters(prompt, span, 2):
        yield Edit(at, at + 1, prompt[at].swapcase(), CASE)


def _blanks(prompt: str, span: Stretch, _rng: random.Random) -> Iterator[Edit]:
    text = prompt[span.start : span.stop]
    for blanks in _BLANKS.finditer(text):
        at = span.start + blanks.start()
        yield Edit(at, at + 1, "", BLANK_REMOVED)
    for word in WORD.finditer(text):
        for at in range(span.start + word.start() + _PIECE, span.start + word.end() - _PIECE + 1):
            yield Edit(at, at, " ", BLANK_ADDED)


BUTTER_FINGERS = Perturbation(
    name="butter_fingers",
    category="docstring",
    level="character",
    summary=f"letters of the docstring's prose become a neighbour on the keyboard ({SLIP:.0%} of them, one at least)",
    invariant=INVARIANT,
    apply=partial(edit_docstring, edits=_slips),
)
SWAP_CHARACTERS = Perturbation(
    name="swap_characters",
    category="docstring",
    level="character",
    summary=f"neighbouring letters within words of the docstring's prose are swapped ({SLIP:.0%}, one at least)",
    invariant=INVARIANT,
    apply=partial(edit_docstring, edits=_swaps),
)
CHANGE_CASE = Perturbation(
    name="change_case",
    category="docstring",
    level="character",
    summary=f"letters of the docstring's prose change case ({CASE:.0%} of them)",
    invariant=f"{INVARIANT} Letter by letter the text is the same but for case.",
    apply=partial(edit_docstring, edits=_flips, forbidden=()),
)
WHITESPACE = Perturbation(
    name="whitespace",
    category="docstring",
    level="character",
    summary=(
        f"blanks between words of the docstring's prose are removed ({BLANK_REMOVED:.0%}) and others put into words "
        f"({BLANK_ADDED:.0%} of their letters)"
    ),
    invariant=f"{INVARIANT} Without blanks the text is the same.",
    apply=partial(edit_docstring, edits=_blanks),
)
