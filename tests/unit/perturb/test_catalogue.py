"""Perturbations are found by name, category, level and set; errors say what there is."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval import registry
from pytest_qeval.errors import DataError, UnknownNameError, UsageError
from pytest_qeval.perturb.base import CATEGORIES, LEVELS, Perturbation
from pytest_qeval.perturb.catalogue import FULL, SCREEN, SCREENED, Catalogue, own_perturbations, select
from pytest_qeval.perturb.code.variables import NAMES_FILE
from pytest_qeval.perturb.docstring.translation import TRANSLATIONS_FILE
from pytest_qeval.schema import Problem


def unchanged(nominal: Problem, _rng: random.Random) -> Problem:
    return nominal


MINE = Perturbation(
    name="mine", category="format", level="format", summary="a comment on top", invariant="Code.", apply=unchanged
)
OWN = Catalogue(own={"mine": MINE})


def names(*words: str, catalogue: Catalogue = OWN) -> list[str]:
    """Return the names of the perturbations that words select."""
    return [one.name for one in select(words, catalogue)]


def test_a_name_selects_one_perturbation() -> None:
    """In the order of the words, not of the registry."""
    assert names("tab_indent", "butter_fingers") == ["tab_indent", "butter_fingers"]


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("joint", [" ", "-", "_"])
def test_a_category_selects_all_of_it(category: str, joint: str) -> None:
    """Its words may be joined in any way, since a shell splits at blanks."""
    found = select([category.replace(" ", joint)])

    assert len(found) >= 2
    assert {one.category for one in found} == {category}


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_selects_all_of_it(level: str) -> None:
    """A word that is both a level and a category selects both."""
    assert all(level in {one.level, one.category} for one in select([level]))


def test_no_word_selects_the_screen() -> None:
    """Two perturbations of each category."""
    assert names() == names(SCREEN) == list(SCREENED)
    assert sorted(one.category for one in select([])) == sorted([*CATEGORIES, *CATEGORIES])


def test_the_set_full_is_all_that_needs_no_file() -> None:
    registered = registry.names("perturbations")

    assert [one.name for one in select([FULL])] == list(registered)
    assert {one.name for category in CATEGORIES for one in select([category])} == {*registered}


def test_each_comes_once_where_it_is_selected_first() -> None:
    """Though a name, its category and a set select it."""
    found = names("tab_indent", "format", SCREEN, "tab_indent")

    assert found[0] == "tab_indent"
    assert len(found) == len(set(found))
    assert {*SCREENED} <= {*found}


def test_a_project_s_own_is_found_by_name_category_level_and_set() -> None:
    """But it does not belong to the fixed set `screen`."""
    assert names("mine") == ["mine"]
    assert "mine" in names("format")
    assert "mine" not in names("docstring")
    assert set(names(FULL)) == {*registry.names("perturbations"), "mine"}
    assert names() == list(SCREENED)


def test_an_unknown_name_lists_all_there_are() -> None:
    """The nearest name comes first."""
    with pytest.raises(
        UnknownNameError, match=r"Did you mean 'tab_indent'.*mine, back_translation, rename_variable_model, recode"
    ):
        names("tab_indnt")


@pytest.mark.parametrize("word", ["recode", "recode:SynonymInsertion", "back_translation", "rename_variable_model"])
def test_a_perturbation_from_a_file_names_the_missing_file(word: str, tmp_path: Path) -> None:
    """No folder is one error, a folder without the file another."""
    with pytest.raises(UsageError, match=rf"'{word}' is read from a file: name its folder with --qeval-data"):
        names(word)
    with pytest.raises(DataError, match=str(tmp_path)):
        names(word, catalogue=Catalogue(data=tmp_path))


def test_files_become_perturbations(tmp_path: Path) -> None:
    """`recode` selects all of its files."""
    row = {"task_id": "HumanEval/0", "prompt": "", "entry_point": "f", "canonical_solution": ""}
    for name in ("ChangeCharCase_s0", "ChangeCharCase_s1", "new_lines_s0"):
        tmp_path.joinpath(f"humaneval_{name}.jsonl").write_text(json.dumps(row), encoding="utf-8")
    tmp_path.joinpath(TRANSLATIONS_FILE).write_text(
        '{"task_id": "made up/0", "docstring": "Calculate.\\n"}', encoding="utf-8"
    )
    proposal = {"task_id": "made up/0", "variable": "x", "names": ["y"]}
    tmp_path.joinpath(NAMES_FILE).write_text(json.dumps(proposal), encoding="utf-8")
    catalogue = Catalogue(data=tmp_path)

    assert names("recode", catalogue=catalogue) == ["recode:ChangeCharCase", "recode:new_lines"]
    wanted = ["recode:new_lines", "back_translation", "rename_variable_model"]
    assert names(*wanted, catalogue=catalogue) == wanted


def wrong(**fields: Any) -> Perturbation:
    """Make a perturbation that types forbid, but a user may write."""
    return replace(MINE, **fields)


BROKEN: dict[str, tuple[object, str]] = {
    "no list": (MINE, "expected a list of pytest_qeval.perturb.base.Perturbation"),
    "another thing": ([unchanged], "expected a list of pytest_qeval.perturb.base.Perturbation"),
    "registered": ([wrong(name="tab_indent")], "'tab_indent': the name has a meaning already"),
    "of a file": ([wrong(name="recode")], "'recode': the name has a meaning already"),
    "a set": ([wrong(name="full")], "'full': the name has a meaning already"),
    "a category": ([wrong(name="syntax")], "'syntax': the name has a meaning already"),
    "no name": ([wrong(name="my own")], "'my own': a name is letters, digits and underscores"),
    "twice": ([MINE, MINE], "'mine': two have that name"),
    "no category": ([wrong(category="prose")], "'mine': the category is one of docstring, function name"),
    "no level": ([wrong(level="line")], "'mine': the level is one of character, word"),
    "no form": ([wrong(form="third")], "'mine': the form is full or half, not third"),
    "no function": ([wrong(apply=None)], "'mine': apply is no function"),
}


@pytest.mark.parametrize(("returned", "sentence"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_perturbation_is_refused(returned: object, sentence: str) -> None:
    with pytest.raises(UsageError, match="pytest_qeval_perturbations") as error:
        own_perturbations([returned])

    assert sentence in str(error.value)


def test_every_conftest_counts() -> None:
    """The hook returns one list for each of them."""
    assert list(own_perturbations([[MINE], (), [replace(MINE, name="yours")]])) == ["mine", "yours"]


def test_an_entry_point_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint(name="odd", value="json:dumps", group="pytest_qeval.perturbations")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])  # noqa: ARG005 - called by keyword
    with pytest.raises(UsageError, match=r"entry point 'odd' of pytest_qeval\.perturbations leads to function"):
        Catalogue().load("odd")
