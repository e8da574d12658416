"""Which perturbations words mean: names, categories, levels and two sets."""

import pytest

from pytest_qeval import registry
from pytest_qeval.errors import UnknownNameError
from pytest_qeval.perturb.base import CATEGORIES, LEVELS
from pytest_qeval.perturb.selection import FULL, SCREEN, SCREENED, select


def names(*words: str) -> list[str]:
    return [one.name for one in select(words)]


def test_a_name_means_itself_in_the_users_order() -> None:
    """The registry's order does not matter."""
    assert names("tab_indent", "butter_fingers") == ["tab_indent", "butter_fingers"]


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("joint", [" ", "-", "_"])
def test_a_category_means_all_of_it(category: str, joint: str) -> None:
    """However its words are joined, for a shell dislikes blanks."""
    found = select([category.replace(" ", joint)])

    assert len(found) >= 2
    assert {one.category for one in found} == {category}


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_means_all_of_it(level: str) -> None:
    """Where a level is called like a category, both are meant."""
    assert all(level in {one.level, one.category} for one in select([level]))


def test_nothing_said_is_the_screen() -> None:
    """Two perturbations of each category."""
    assert names() == names(SCREEN) == list(SCREENED)
    assert sorted(one.category for one in select([])) == sorted([*CATEGORIES, *CATEGORIES])


def test_the_full_set_is_all_that_needs_nothing_else() -> None:
    """What needs a file of one's own is left to those who have it."""
    assert names(FULL) == [name for name in registry.names("perturbations") if name != "back_translation"]
    assert {one for category in CATEGORIES for one in names(category)} == {*names(FULL)}


def test_each_comes_once_where_it_is_meant_first() -> None:
    """Though a name, its category and a set mean it."""
    found = names("tab_indent", "format", SCREEN, "tab_indent")

    assert found[0] == "tab_indent"
    assert len(found) == len(set(found))
    assert {*SCREENED} <= {*found}


def test_an_unknown_word_is_answered_by_the_nearest_names() -> None:
    """With everything that there is."""
    with pytest.raises(UnknownNameError, match=r"'tab_ident'. Did you mean 'tab_indent'.*butter_fingers"):
        select(["tab_ident"])
