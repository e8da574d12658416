"""Perturbations of single words: a synonym in a word's place or beside it.

Few words have one that surely fits, so most of those are taken. ReCode (Wang et al., 2022, arXiv:2212.10264) takes half
of all words that WordNet knows, in any sense. Words changed per prompt, mean over HumanEval, seed 0 of ReCode's release
and seeds 0 to 4 of ours: substitution 6.5 and 1.6, insertion 6.9 and 1.7. Over the 76 prompts whose docstring ReCode
leaves closed: 3.1 and 1.1, 3.4 and 1.1.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import partial

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.context import before, follows_determiner, whole_words
from pytest_qeval.perturb.docstring.edits import Edit, edit_docstring
from pytest_qeval.perturb.docstring.lexicon import load_lexicon
from pytest_qeval.perturb.docstring.prose_marks import Stretch
from pytest_qeval.perturb.docstring.words import FUNCTION_WORDS, in_case_of

__all__ = ["INVARIANT", "SYNONYM_INSERTION", "SYNONYM_SUBSTITUTION"]

INVARIANT = (
    "Code, names, literals, examples and technical terms keep every character, and the docstring's quotes stay where "
    "they are."
)
SHARE = 0.8
"""Of the words that have a synonym."""

_NEXT = re.compile(r" +([A-Za-z]+)")
_PARTICLES = frozenset({"away", "back", "down", "in", "into", "off", "out", "over", "through", "to", "up"})
"""Behind a verb they make another one of it: to find out is not to find."""
_INFINITIVE = frozenset({"can", "could", "may", "might", "must", "not", "shall", "should", "to", "will", "would"})


def _fitting(prompt: str, span: Stretch, rng: random.Random) -> Iterator[tuple[int, int, str, str]]:
    """Return the words that have a synonym where they stand, with one of them."""
    synonyms = load_lexicon().synonyms
    for start, word in whole_words(prompt, span):
        known = synonyms.get(word.lower(), {})
        for kind in known:
            if not _is(kind, prompt, start, start + len(word), span):
                continue
            fitting = [other for other in known[kind] if _article_fits(prompt, start, word, other)]
            if fitting:
                yield start, start + len(word), word, rng.choice(fitting)
                break


def _is(kind: str, prompt: str, start: int, stop: int, span: Stretch) -> bool:
    """Judge by its neighbours whether a word is used as this part of speech; when in doubt it is not."""
    found = _NEXT.match(prompt, stop, span.stop)
    following = found[1].lower() if found else ""
    if kind == "ADJ":
        return following not in {"", *FUNCTION_WORDS}
    if kind == "NOUN":
        return before(prompt, start) not in _INFINITIVE and load_lexicon().kinds.get(prompt[start:stop]) != "VERB"
    return kind == "ADV" or not (follows_determiner(prompt, start) or following in _PARTICLES)


def _article_fits(prompt: str, start: int, word: str, other: str) -> bool:
    """Let nothing make an "a" wrong that was right."""
    same_sound = (word[0].lower() in "aeiou") == (other[0] in "aeiou") and not other.startswith("u")
    return before(prompt, start) not in {"a", "an"} or same_sound


def _substitutions(prompt: str, span: Stretch, rng: random.Random) -> Iterator[Edit]:
    for start, stop, word, other in _fitting(prompt, span, rng):
        yield Edit(start, stop, in_case_of(word, other), SHARE)


def _insertions(prompt: str, span: Stretch, rng: random.Random) -> Iterator[Edit]:
    for _, stop, _, other in _fitting(prompt, span, rng):
        yield Edit(stop, stop, f" {other}", SHARE)


SYNONYM_SUBSTITUTION = Perturbation(
    name="synonym_substitution",
    category="docstring",
    level="word",
    summary=f"words of the docstring's prose give way to synonyms ({SHARE:.0%} of those that have one, not terms)",
    invariant=INVARIANT,
    apply=partial(edit_docstring, edits=_substitutions),
)
SYNONYM_INSERTION = Perturbation(
    name="synonym_insertion",
    category="docstring",
    level="word",
    summary=f"words of the docstring's prose get a synonym beside them ({SHARE:.0%} of those that have one, not terms)",
    invariant=f"{INVARIANT} Every word of the docstring is still there.",
    apply=partial(edit_docstring, edits=_insertions),
)
