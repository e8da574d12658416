"""Which perturbations a run asks: by name, category or level, or one of two sets."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval.perturb.base import CATEGORIES, LEVELS, Perturbation
from pytest_qeval.perturb.catalogue import FULL, SCREEN, Catalogue

__all__ = ["FULL", "SCREEN", "SCREENED", "perturbation_table", "select"]

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


def select(wanted: Sequence[str], catalogue: Catalogue | None = None) -> tuple[Perturbation, ...]:
    """Return the perturbations that names, categories (`function-name`), levels or the sets `screen` and `full` mean.

    Each comes once, in the order in which it was first meant. What needs a file is asked by its own name only.

    Args:
        wanted: Words; none of them is the set `screen`.
        catalogue: Where they are looked up; the registered perturbations, where there is none.

    Raises:
        UnknownNameError: for a word that means none, with the nearest names.
        UsageError: for one that cannot be had.
    """
    known = catalogue or Catalogue()
    names = dict.fromkeys(name for word in wanted or (SCREEN,) for name in _names(word, known))
    return tuple(known.load(name) for name in names)


def _names(word: str, catalogue: Catalogue) -> Sequence[str]:
    if word == SCREEN:
        return SCREENED
    if word == FULL:
        return catalogue.names()
    kind = word.casefold().replace("-", " ").replace("_", " ")
    if kind in {*CATEGORIES, *LEVELS}:
        loaded = map(catalogue.load, catalogue.names())
        return [one.name for one in loaded if kind in {one.category, one.level}]
    return catalogue.expand(word)


def perturbation_table() -> tuple[str, ...]:
    """Return the registered perturbations as rows of a Markdown table, head included, by category and name."""
    found = sorted(select([FULL]), key=lambda one: (CATEGORIES.index(one.category), one.name))
    rows = (
        (
            f"`{one.name}`" + " *" * (one.name in SCREENED),
            one.category,
            one.level,
            "half the solution" if one.form == "half" else "prompt",
            "any" if one.random else "one",
            one.summary,
            one.invariant,
        )
        for one in found
    )
    head = ("name", "category", "level", "given", "seeds", "what changes", "what stays")
    return tuple(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))
