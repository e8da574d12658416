"""The perturbations that one run can ask: registered, brought along by the user's `conftest.py`, or made of files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.errors import UnknownNameError, UsageError
from pytest_qeval.perturb import recode_files
from pytest_qeval.perturb.base import CATEGORIES, LEVELS, Perturbation
from pytest_qeval.perturb.code.proposed_names import FILE as NAMES
from pytest_qeval.perturb.code.proposed_names import read_proposals, rename_variable_model
from pytest_qeval.perturb.docstring.translation import FILE as TRANSLATIONS
from pytest_qeval.perturb.docstring.translation import back_translation, read_translations
from pytest_qeval.perturb.perturbed_problems import HALF

__all__ = ["FROM_FILES", "FULL", "SCREEN", "Catalogue", "own_perturbations"]

SCREEN = "screen"
FULL = "full"
FROM_FILES: Mapping[str, str] = {
    "back_translation": f"docstrings that went into another language and back: {TRANSLATIONS}",
    "rename_variable_model": f"local variables called as a model of code proposed: {NAMES}",
    recode_files.PREFIX: "the questions that ReCode released: humaneval_<transformation>_s<seed>.jsonl[.gz]; "
    "one of them is recode:<transformation>",
}
"""What needs a file below the folder that `--qeval-data` names, and what it is."""
_FORM = re.compile(r"[A-Za-z]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Finds perturbations by name."""

    own: Mapping[str, Perturbation] = field(default_factory=dict)
    """Those of the user's `conftest.py`."""
    data: Path | None = None
    """The folder of files that the user named."""

    def names(self) -> Sequence[str]:
        """Return the names of all that need no file, sorted."""
        return sorted([*registry.names("perturbations"), *self.own])

    def expand(self, name: str) -> Sequence[str]:
        """Return the names that one name stands for: every file for `recode`.

        Raises:
            UsageError: when a folder is missing, or holds no such file.
        """
        return recode_files.recode_names(self._folder(name)) if name == recode_files.PREFIX else (name,)

    def load(self, name: str) -> Perturbation:
        """Return what a name stands for.

        Raises:
            UnknownNameError: when it stands for nothing.
            UsageError: when its file is missing or broken, or what is registered is no perturbation.
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
        return self._registered(name)

    def _registered(self, name: str) -> Perturbation:
        try:
            found = registry.load("perturbations", name)
        except UnknownNameError as error:
            others = ", ".join([*self.own, *FROM_FILES])
            kinds = ", ".join(
                [SCREEN, FULL, *CATEGORIES, *dict.fromkeys(level for level in LEVELS if level not in CATEGORIES)]
            )
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


def own_perturbations(given: Iterable[object]) -> Mapping[str, Perturbation]:
    """Check what the hook `pytest_qeval_perturbations` gave.

    Raises:
        UsageError: for what is no list of perturbations, or a name that has a meaning already.
    """
    found: dict[str, Perturbation] = {}
    for one in (one for answer in given for one in _listed(answer)):
        fault = _fault_of(one, found)
        if fault:
            raise UsageError(f"pytest_qeval_perturbations: {fault}.")
        found[one.name] = one
    return found


def _listed(answer: object) -> Iterable[Perturbation]:
    if isinstance(answer, list | tuple) and all(isinstance(one, Perturbation) for one in answer):
        return answer
    raise UsageError(
        f"pytest_qeval_perturbations gave {answer!r}: expected a list of pytest_qeval.perturb.base.Perturbation."
    )


def _fault_of(one: Perturbation, others: Mapping[str, Perturbation]) -> str:
    """Say in half a sentence why a perturbation cannot be asked; empty where it can."""
    taken = {*registry.names("perturbations"), *FROM_FILES, *CATEGORIES, *LEVELS, SCREEN, FULL, HALF}
    checks: Sequence[tuple[bool, str]] = (
        (not _FORM.fullmatch(one.name), "a name is letters, digits and underscores"),
        (one.name in taken, "the name has a meaning already; choose another"),
        (one.name in others, "two have that name; rename one of them"),
        (one.category not in CATEGORIES, f"the category is one of {', '.join(CATEGORIES)}, not {one.category}"),
        (one.level not in LEVELS, f"the level is one of {', '.join(LEVELS)}, not {one.level}"),
        (one.form not in {"full", "half"}, f"the form is full or half, not {one.form}"),
        (not callable(one.apply), "apply is no function"),
    )
    return next((f"{one.name!r}: {said}" for fails, said in checks if fails), "")
