"""Find perturbations by name, category, level or set: registered ones, a project's own, and those read from files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.errors import UnknownNameError, UsageError, about
from pytest_qeval.perturb import recode_files
from pytest_qeval.perturb.base import CATEGORIES, LEVELS, Perturbation
from pytest_qeval.perturb.code.variables import NAMES_FILE, read_proposals, rename_variable_model
from pytest_qeval.perturb.docstring.translation import TRANSLATIONS_FILE, back_translation, read_translations
from pytest_qeval.schema import HALF_LABEL

SCREEN = "screen"
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
"""The set `screen`: two perturbations of each category, the strongest that do not depend on the seed."""
FULL = "full"
FROM_FILES: Mapping[str, str] = {
    "back_translation": f"docstrings translated into another language and back: {TRANSLATIONS_FILE}",
    "rename_variable_model": f"local variables renamed as a model of code proposed: {NAMES_FILE}",
    recode_files.PREFIX: "the perturbed problems that ReCode released: humaneval_<transformation>_s<seed>.jsonl[.gz]; "
    "one of them is recode:<transformation>",
}
"""Perturbations that need a file below the folder of `--qeval-data`, with one line each."""
_NAME = re.compile(r"[A-Za-z]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Finds perturbations by name."""

    own: Mapping[str, Perturbation] = field(default_factory=dict)
    """Those of the user's `conftest.py`."""
    data: Path | None = None
    """Folder of `--qeval-data`."""

    def names(self) -> Sequence[str]:
        """Return the names of all perturbations that need no file, sorted."""
        return sorted([*registry.names("perturbations"), *self.own])

    def expand(self, name: str) -> Sequence[str]:
        """Return the perturbations that a name stands for: `recode` is one for each transformation released.

        Raises:
            UsageError: when the folder is missing, or holds no such file.
        """
        if name != recode_files.PREFIX:
            return (name,)
        return [f"{name}:{transformation}" for transformation in recode_files.find_files(self._folder(name))]

    def load(self, name: str) -> Perturbation:
        """Return the perturbation of that name.

        Raises:
            UnknownNameError: when there is none.
            UsageError: when its file is missing or broken, or the registered object is no perturbation.
        """
        if name in self.own:
            return self.own[name]
        if name == "back_translation":
            return back_translation(read_translations(self._folder(name)))
        if name == "rename_variable_model":
            return rename_variable_model(read_proposals(self._folder(name)))
        prefix, _, rest = name.partition(":")
        if prefix == recode_files.PREFIX and rest:
            return recode_files.recode_perturbation(self._folder(name), rest)
        return self._load_registered(name)

    def _load_registered(self, name: str) -> Perturbation:
        try:
            found = registry.load("perturbations", name)
        except UnknownNameError as error:
            others = ", ".join([*self.own, *FROM_FILES])
            kinds = ", ".join(dict.fromkeys((SCREEN, FULL, *CATEGORIES, *LEVELS)))
            raise UnknownNameError(
                f"{error} Of this project or of files: {others}. Sets, categories and levels: {kinds}."
            ) from None
        if not isinstance(found, Perturbation):
            raise UsageError(
                f"the entry point {name!r} of pytest_qeval.perturbations leads to {type(found).__name__}, "
                "not to a Perturbation."
            )
        return found

    def _folder(self, name: str) -> Path:
        if self.data is None:
            raise UsageError(f"the perturbation {name!r} is read from a file: name its folder with --qeval-data.")
        return self.data


@about("perturbation")
def select(wanted: Sequence[str], catalogue: Catalogue | None = None) -> tuple[Perturbation, ...]:
    """Return the perturbations of names, categories (`function-name`), levels or the sets `screen` and `full`.

    Each comes once, in the order of the words; no word means the set `screen`. Perturbations that need a file are
    selected by their own name only. Without a catalogue there are the registered perturbations alone.

    Raises:
        UnknownNameError: for an unknown word, with the nearest names.
        UsageError: when a file is missing or broken, or the registered object is no perturbation.
    """
    known = catalogue or Catalogue()
    names = dict.fromkeys(name for word in wanted or (SCREEN,) for name in _names_of(word, known))
    return tuple(known.load(name) for name in names)


def _names_of(word: str, catalogue: Catalogue) -> Sequence[str]:
    if word == SCREEN:
        return SCREENED
    if word == FULL:
        return catalogue.names()
    kind = word.casefold().replace("-", " ").replace("_", " ")
    if kind in {*CATEGORIES, *LEVELS}:
        loaded = map(catalogue.load, catalogue.names())
        return [one.name for one in loaded if kind in {one.category, one.level}]
    return catalogue.expand(word)


def own_perturbations(returned: Iterable[object]) -> Mapping[str, Perturbation]:
    """Check what the hook `pytest_qeval_perturbations` returned, one list for each `conftest.py`.

    Raises:
        UsageError: for anything but a list of perturbations, or a name that has a meaning already.
    """
    found: dict[str, Perturbation] = {}
    for ones in returned:
        if not (isinstance(ones, list | tuple) and all(isinstance(one, Perturbation) for one in ones)):
            raise UsageError(
                f"pytest_qeval_perturbations returned {ones!r}: expected a list of "
                "pytest_qeval.perturb.base.Perturbation."
            )
        for one in ones:
            fault = _find_fault(one, found)
            if fault:
                raise UsageError(f"pytest_qeval_perturbations: {one.name!r}: {fault}.")
            found[one.name] = one
    return found


def _find_fault(one: Perturbation, others: Mapping[str, Perturbation]) -> str:
    """Return in half a sentence why a perturbation cannot be used; empty where it can."""
    taken = {*registry.names("perturbations"), *FROM_FILES, *CATEGORIES, *LEVELS, SCREEN, FULL, HALF_LABEL}
    checks: Sequence[tuple[bool, str]] = (
        (not _NAME.fullmatch(one.name), "a name is letters, digits and underscores"),
        (one.name in taken, "the name has a meaning already; choose another"),
        (one.name in others, "two have that name; rename one of them"),
        (one.category not in CATEGORIES, f"the category is one of {', '.join(CATEGORIES)}, not {one.category}"),
        (one.level not in LEVELS, f"the level is one of {', '.join(LEVELS)}, not {one.level}"),
        (one.form not in {"full", "half"}, f"the form is full or half, not {one.form}"),
        (not callable(one.apply), "apply is no function"),
    )
    return next((sentence for fails, sentence in checks if fails), "")
