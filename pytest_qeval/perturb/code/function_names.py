"""The function's name, perturbed: the same task under another name, in prompt, solution and test alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.code.name_words import inflections, other_style, substituted, synonyms_of
from pytest_qeval.perturb.code.renaming import is_free, renamed
from pytest_qeval.schema import Problem

__all__ = [
    "NAME_BUTTER_FINGERS",
    "NAME_CAMEL_CASE",
    "NAME_CHANGE_CASE",
    "NAME_INFLECTION",
    "NAME_SWAP_CHARACTERS",
    "NAME_SYNONYM",
]

_TYPO = 0.05
_FLIP = 0.35
_DRAWS = 50
"""How often a name is drawn before the problem is left alone; names of one letter have few others."""

_INVARIANT = "Description, examples and parameters stay; solution and test follow the new name."


def _butter_fingers(name: str, rng: random.Random) -> str:
    letters = [place for place, character in enumerate(name) if character.lower() in _NEIGHBOURS]
    characters = list(name)
    for place in _some(letters, _TYPO, rng):
        typed = rng.choice(_NEIGHBOURS[name[place].lower()])
        characters[place] = typed.upper() if name[place].isupper() else typed
    return "".join(characters)


def _swap_characters(name: str, rng: random.Random) -> str:
    pairs = [place for place in range(len(name) - 1) if name[place : place + 2].isalnum()]
    characters = list(name)
    for place in _some([place for place in pairs if name[place] != name[place + 1]], _TYPO, rng):
        characters[place], characters[place + 1] = characters[place + 1], characters[place]
    return "".join(characters)


def _change_case(name: str, rng: random.Random) -> str:
    letters = [place for place, character in enumerate(name) if character.isalpha()]
    characters = list(name)
    for place in _some(letters, _FLIP, rng):
        characters[place] = characters[place].swapcase()
    return "".join(characters)


def _inflection(name: str, rng: random.Random) -> str:
    return substituted(name, inflections, rng)


def _synonym(name: str, rng: random.Random) -> str:
    return substituted(name, synonyms_of, rng)


def _some(places: list[int], share: float, rng: random.Random) -> list[int]:
    """Choose each place with the same probability, and one of them where that chose none."""
    chosen = [place for place in places if rng.random() < share]
    return chosen or ([rng.choice(places)] if places else [])


def _keyboard() -> Mapping[str, str]:
    """Return the letters around each letter of a QWERTY keyboard, whose rows are shifted by half a key."""
    rows = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    around: dict[str, str] = {}
    for height, row in enumerate(rows):
        for place, letter in enumerate(row):
            beside = [(height, place - 1), (height, place + 1)]
            above = [(height - 1, place), (height - 1, place + 1)]
            below = [(height + 1, place - 1), (height + 1, place)]
            around[letter] = "".join(
                rows[y][x] for y, x in beside + above + below if 0 <= y < len(rows) and 0 <= x < len(rows[y])
            )
    return around


_NEIGHBOURS = _keyboard()


def _renaming(new_name: Callable[[str, random.Random], str]) -> Callable[[Problem, random.Random], Problem]:
    """Make a perturbation of a way to perturb names: draw until the name may be given."""

    def apply(problem: Problem, rng: random.Random) -> Problem:
        for _ in range(_DRAWS):
            name = new_name(problem.entry_point, rng)
            if is_free(name, problem):
                return renamed(problem, name) or problem
        return problem

    return apply


NAME_CAMEL_CASE = Perturbation(
    name="name_camel_case",
    category="function name",
    level="name",
    summary="function name from snake case to camel case or back; names of one word stay",
    invariant=_INVARIANT,
    apply=_renaming(lambda name, _rng: other_style(name)),
    random=False,
)
NAME_BUTTER_FINGERS = Perturbation(
    name="name_butter_fingers",
    category="function name",
    level="name",
    summary="each letter of the function name hit beside its key with probability 0.05, at least one",
    invariant=_INVARIANT,
    apply=_renaming(_butter_fingers),
)
NAME_SWAP_CHARACTERS = Perturbation(
    name="name_swap_characters",
    category="function name",
    level="name",
    summary="neighbouring characters of the function name swapped with probability 0.05, at least one pair",
    invariant=_INVARIANT,
    apply=_renaming(_swap_characters),
)
NAME_CHANGE_CASE = Perturbation(
    name="name_change_case",
    category="function name",
    level="name",
    summary="case of each letter of the function name flipped with probability 0.35, at least one",
    invariant=_INVARIANT,
    apply=_renaming(_change_case),
)
NAME_INFLECTION = Perturbation(
    name="name_inflection",
    category="function name",
    level="name",
    summary="words of the function name in another inflected form with probability 0.5, at least one",
    invariant=_INVARIANT,
    apply=_renaming(_inflection),
)
NAME_SYNONYM = Perturbation(
    name="name_synonym",
    category="function name",
    level="name",
    summary="words of the function name give way to synonyms with probability 0.5, at least one; terms stay",
    invariant=_INVARIANT,
    apply=_renaming(_synonym),
)
