"""Which perturbations a run asks: by name, category or level, or one of two sets."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval import registry
from pytest_qeval.perturb.base import CATEGORIES, LEVELS, Perturbation

__all__ = ["FULL", "SCREEN", "SCREENED", "select"]

SCREEN = "screen"
FULL = "full"
SCREENED = (
    "butter_fingers",
    "synonym_substitution",
    "name_butter_fingers",
    "name_camel_case",
    "dead_code_first",
    "rename_variable_random",
    "doc_to_comments",
    "tab_indent",
)
"""The set `screen`: two perturbations of each category, chosen as the strongest of their kind that no seed weakens."""
_NOT_FULL = frozenset({"back_translation", "rename_variable_model"})
"""What needs a file or a further model is asked by name only."""


def select(wanted: Sequence[str]) -> tuple[Perturbation, ...]:
    """Give the perturbations that names, categories (`function-name`), levels or the sets `screen` and `full` mean.

    Each comes once, in the order in which it was first meant.

    Raises:
        UnknownNameError: for a word that means none, with the nearest names.
    """
    names = dict.fromkeys(name for word in wanted or (SCREEN,) for name in _names(word))
    return tuple(registry.load("perturbations", name) for name in names)


def _names(word: str) -> Sequence[str]:
    if word == SCREEN:
        return SCREENED
    known = [name for name in registry.names("perturbations") if name not in _NOT_FULL]
    if word == FULL:
        return known
    kind = word.replace("-", " ").replace("_", " ")
    if kind in {*CATEGORIES, *LEVELS}:
        loaded: list[Perturbation] = [registry.load("perturbations", name) for name in known]
        return [one.name for one in loaded if kind in {one.category, one.level}]
    return (word,)
