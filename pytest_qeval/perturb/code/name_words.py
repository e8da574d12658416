"""The words of a function's name: other ways to join them, and other words in their places."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from pytest_qeval.errors import MissingPackageError
from pytest_qeval.perturb.docstring.lexicon import load_lexicon

__all__ = ["inflections", "other_style", "substituted", "synonyms_of"]

_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")
_SHARE = 0.5
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


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


def substituted(name: str, alternatives: Callable[[str], Sequence[str]], rng: random.Random) -> str:
    """Replace each word of a name that has alternatives with probability one half, and at least one.

    Args:
        name: such as `sort_third` or `minPath`; case and underscores stay.
        alternatives: gives the words that may stand in the place of a lower-case one.
        rng: what chooses.
    """
    pieces = _PIECES.findall(name)
    options = [(place, list(alternatives(piece.lower()))) for place, piece in enumerate(pieces) if piece.isalpha()]
    options = [(place, words) for place, words in options if words]
    if not options:
        return name
    for place, words in [option for option in options if rng.random() < _SHARE] or [rng.choice(options)]:
        pieces[place] = _cased_like(rng.choice(words), pieces[place])
    return "".join(pieces)


def _cased_like(word: str, example: str) -> str:
    if example.isupper() and len(example) > 1:
        return word.upper()
    return word.capitalize() if example[0].isupper() else word


def inflections(word: str) -> Sequence[str]:
    """List the other inflected forms of a word, as any part of speech that the dictionary allows, sorted.

    Raises:
        MissingPackageError: when lemminflect is not installed.
    """
    try:
        import lemminflect  # noqa: PLC0415 - an extra, and its tables take a moment to load
    except ImportError as error:
        raise MissingPackageError("lemminflect", extra="robustness", purpose="inflecting words") from error
    forms = {
        form
        for part_of_speech, lemmas in lemminflect.getAllLemmas(word).items()
        for lemma in lemmas
        for found in lemminflect.getAllInflections(lemma, upos=part_of_speech).values()
        for form in found
    }
    return sorted(form for form in forms if form != word and form.isalpha() and form.isascii() and form.islower())


def synonyms_of(word: str) -> Sequence[str]:
    """List the synonyms of a word, as any part of speech; terms that carry a task's meaning have none."""
    return sorted({other for others in load_lexicon().synonyms.get(word, {}).values() for other in others})
