"""Perturbations of the function's name, in prompt, canonical solution and test alike."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import partial

from pytest_qeval.perturb.base import Apply, Perturbation
from pytest_qeval.perturb.code.renaming import is_free, rename_function
from pytest_qeval.perturb.docstring.lexicon import load_lemminflect, load_lexicon
from pytest_qeval.perturb.docstring.words import match_case
from pytest_qeval.perturb.keyboard import NEIGHBOURS
from pytest_qeval.schema import Problem

_TYPO = 0.05
_FLIP = 0.35
_SUBSTITUTED = 0.5
_DRAWS = 50
"""How often a name is drawn before the problem is left alone; a name of one letter has few alternatives."""
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _butter_fingers(name: str, rng: random.Random) -> str:
    letters = [place for place, letter in enumerate(name) if letter.lower() in NEIGHBOURS]
    typed = {place: rng.choice(NEIGHBOURS[name[place].lower()]) for place in _choose(letters, _TYPO, rng)}
    return "".join(match_case(letter, typed.get(place, letter)) for place, letter in enumerate(name))


def _swap_characters(name: str, rng: random.Random) -> str:
    pairs = [place for place in range(len(name) - 1) if name[place : place + 2].isalnum()]
    characters = list(name)
    for place in _choose([place for place in pairs if name[place] != name[place + 1]], _TYPO, rng):
        characters[place], characters[place + 1] = characters[place + 1], characters[place]
    return "".join(characters)


def _change_case(name: str, rng: random.Random) -> str:
    chosen = _choose([place for place, letter in enumerate(name) if letter.isalpha()], _FLIP, rng)
    return "".join(letter.swapcase() if place in chosen else letter for place, letter in enumerate(name))


def _choose(places: Sequence[int], share: float, rng: random.Random) -> Sequence[int]:
    """Choose each place with the same probability, and at least one of them."""
    chosen = [place for place in places if rng.random() < share]
    return chosen or ([rng.choice(places)] if places else [])


def other_style(name: str) -> str:
    """Turn snake case into camel case and the other way round; a name of one word stays as it is.

    >>> other_style("has_close_elements"), other_style("minPath"), other_style("longest")
    ('hasCloseElements', 'min_path', 'longest')
    """
    bare = name.lstrip("_")
    leading = name[: len(name) - len(bare)]
    if "_" in bare.strip("_"):
        first, *others = [word for word in bare.split("_") if word]
        return leading + first + "".join(word[0].upper() + word[1:] for word in others)
    return leading + _HUMP.sub("_", bare).lower() if _HUMP.search(bare) else name


def substitute_words(name: str, rng: random.Random, alternatives: Callable[[str], Sequence[str]]) -> str:
    """Replace each word of a name that has alternatives with probability one half, and at least one.

    Case and underscores stay; `alternatives` returns the words that may replace a lower-case word.
    """
    pieces = _PIECES.findall(name)
    options = {
        place: found for place, word in enumerate(pieces) if word.isalpha() and (found := alternatives(word.lower()))
    }
    for place in _choose([*options], _SUBSTITUTED, rng):
        word, old = rng.choice(options[place]), pieces[place]
        pieces[place] = word.upper() if old.isupper() and len(old) > 1 else match_case(old, word)
    return "".join(pieces)


def _inflections(word: str) -> Sequence[str]:
    """Return the other inflected forms of a word, as any part of speech that the dictionary allows, sorted."""
    library = load_lemminflect()
    forms = {
        form
        for part_of_speech, lemmas in library.getAllLemmas(word).items()
        for lemma in lemmas
        for found in library.getAllInflections(lemma, upos=part_of_speech).values()
        for form in found
    }
    return sorted(form for form in forms if form != word and form.isalpha() and form.isascii() and form.islower())


def _synonyms(word: str) -> Sequence[str]:
    """Return the synonyms of a word, as any part of speech; technical terms have none."""
    return sorted({other for others in load_lexicon().synonyms.get(word, {}).values() for other in others})


def _renaming(new_name: Callable[[str, random.Random], str]) -> Apply:
    """Make a perturbation that draws new names until one is free."""

    def apply(problem: Problem, rng: random.Random) -> Problem:
        for _ in range(_DRAWS):
            name = new_name(problem.entry_point, rng)
            if is_free(name, problem):
                return rename_function(problem, name) or problem
        return problem

    return apply


_of_name = partial(
    Perturbation,
    category="function name",
    level="name",
    invariant="Docstring, examples and parameters stay; solution and test follow the new name.",
)

NAME_CAMEL_CASE = _of_name(
    name="name_camel_case",
    summary="function name from snake case to camel case or back; one-word names are unchanged",
    apply=_renaming(lambda name, _rng: other_style(name)),
    random=False,
)
NAME_BUTTER_FINGERS = _of_name(
    name="name_butter_fingers",
    summary="each letter of the function name replaced by a neighbouring key with probability 0.05, at least one",
    apply=_renaming(_butter_fingers),
)
NAME_SWAP_CHARACTERS = _of_name(
    name="name_swap_characters",
    summary="neighbouring characters of the function name swapped with probability 0.05, at least one pair",
    apply=_renaming(_swap_characters),
)
NAME_CHANGE_CASE = _of_name(
    name="name_change_case",
    summary="case of each letter of the function name flipped with probability 0.35, at least one",
    apply=_renaming(_change_case),
)
NAME_INFLECTION = _of_name(
    name="name_inflection",
    summary="words of the function name in another inflected form with probability 0.5, at least one",
    apply=_renaming(partial(substitute_words, alternatives=_inflections)),
)
NAME_SYNONYM = _of_name(
    name="name_synonym",
    summary="words of the function name replaced by synonyms with probability 0.5, at least one; terms stay",
    apply=_renaming(partial(substitute_words, alternatives=_synonyms)),
)
