"""Perturbations of single words of a docstring: a synonym in place of a word or after it.

Few words have a synonym that surely fits, so most of those are taken. ReCode (Wang et al., 2022, arXiv:2212.10264)
takes half of all words that WordNet has, in any sense.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import partial

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.edits import ProseEdit, edit_docstring
from pytest_qeval.perturb.docstring.lexicon import load_lexicon
from pytest_qeval.perturb.docstring.markup import Span
from pytest_qeval.perturb.docstring.words import (
    FUNCTION_WORDS,
    INFINITIVE,
    follows_determiner,
    match_case,
    whole_words,
    word_before,
    word_set,
)

_INVARIANT = (
    "Code, names, literals, examples and technical terms keep every character, and the docstring's quotes stay where "
    "they are."
)
_SHARE = 0.8
"""Of the words that have a synonym."""

_NEXT = re.compile(r" +([A-Za-z]+)")
_PARTICLES = word_set("away back down in into off out over through to up")
"""After a verb they make another verb of it: to find out is not to find."""


def _synonyms(prompt: str, span: Span, rng: random.Random) -> Iterator[tuple[int, int, str]]:
    """Return begin and end of the words that have a synonym in their context, with one synonym of each."""
    synonyms = load_lexicon().synonyms
    for start, word in whole_words(prompt, span):
        known = synonyms.get(word.lower(), {})
        for kind in known:
            if not _is_kind(kind, prompt, start, start + len(word), span):
                continue
            fitting = [other for other in known[kind] if _article_fits(prompt, start, word, other)]
            if fitting:
                yield start, start + len(word), rng.choice(fitting)
                break


def _is_kind(kind: str, prompt: str, start: int, stop: int, span: Span) -> bool:
    """Return whether the neighbours of a word show that it is this part of speech; in doubt it is not."""
    found = _NEXT.match(prompt, stop, span.stop)
    following = found[1].lower() if found else ""
    if kind == "ADJ":
        return following not in {"", *FUNCTION_WORDS}
    if kind == "NOUN":
        return word_before(prompt, start) not in INFINITIVE and load_lexicon().kinds.get(prompt[start:stop]) != "VERB"
    return kind == "ADV" or not (follows_determiner(prompt, start) or following in _PARTICLES)


def _article_fits(prompt: str, start: int, word: str, other: str) -> bool:
    """Return whether an "a" or "an" before the word is right for the other word, too."""
    same_sound = (word[0].lower() in "aeiou") == (other[0] in "aeiou") and not other.startswith("u")
    return word_before(prompt, start) not in {"a", "an"} or same_sound


def _substitutions(prompt: str, span: Span, rng: random.Random) -> Iterator[ProseEdit]:
    for start, stop, other in _synonyms(prompt, span, rng):
        yield ProseEdit(start, stop, match_case(prompt[start:stop], other), _SHARE)


def _insertions(prompt: str, span: Span, rng: random.Random) -> Iterator[ProseEdit]:
    for _, stop, other in _synonyms(prompt, span, rng):
        yield ProseEdit(stop, stop, f" {other}", _SHARE)


_of_words = partial(Perturbation, category="docstring", level="word")

SYNONYM_SUBSTITUTION = _of_words(
    name="synonym_substitution",
    summary=(
        f"words of the docstring's prose replaced by synonyms ({_SHARE:.0%} of those that have one, technical terms "
        "excepted)"
    ),
    invariant=_INVARIANT,
    apply=partial(edit_docstring, edits=_substitutions),
)
SYNONYM_INSERTION = _of_words(
    name="synonym_insertion",
    summary=(
        f"words of the docstring's prose followed by a synonym ({_SHARE:.0%} of those that have one, technical terms "
        "excepted)"
    ),
    invariant=f"{_INVARIANT} Every word of the docstring is still there.",
    apply=partial(edit_docstring, edits=_insertions),
)
