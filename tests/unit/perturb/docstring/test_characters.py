"""Typing errors, swapped letters, case and blanks."""

from __future__ import annotations

import re

import pytest

from tests.unit.perturb.builders import perturb_sentence

SENTENCE = "Checks whether the largest element of a list is found, and returns another one otherwise."


def test_typing_errors_hit_neighbouring_keys() -> None:
    """Every changed letter is beside the old one on the keyboard, in the same case."""
    keys = {"e": "wrsd", "m": "njk", "a": "qwsz", "l": "okp"}
    typed = [perturb_sentence("Meal", "butter_fingers", seed) for seed in range(150)]
    found = {pair for word in typed for pair in zip("Meal", word, strict=True)}
    changed = {(old, new) for old, new in found if old != new}

    assert {old for old, _ in changed} == {"M", "e", "a", "l"}
    assert all(new.lower() in keys[old.lower()] and new.isupper() == old.isupper() for old, new in changed)


def test_swapped_letters_are_neighbours_in_one_word() -> None:
    """Words keep their letters."""
    for seed in range(30):
        found = perturb_sentence(SENTENCE, "swap_characters", seed)

        assert found != SENTENCE
        assert [sorted(word) for word in found.split()] == [sorted(word) for word in SENTENCE.split()]


def test_case_alone_changes() -> None:
    """In lower case the sentence is the same."""
    assert {perturb_sentence(SENTENCE, "change_case", seed).lower() for seed in range(30)} == {SENTENCE.lower()}


def test_blanks_alone_change() -> None:
    """Without blanks the sentence is the same; both more and fewer occur, and no single letter is torn off."""
    found = [perturb_sentence(SENTENCE, "whitespace", seed) for seed in range(30)]

    assert {text.replace(" ", "") for text in found} == {SENTENCE.replace(" ", "")}
    assert {"  " in text for text in found} == {False}
    assert min(text.count(" ") for text in found) < SENTENCE.count(" ") < max(text.count(" ") for text in found)
    assert {word for text in found for word in re.findall(r"\b\w\b", text)} <= {"a"}


@pytest.mark.parametrize("name", ["butter_fingers", "swap_characters", "change_case", "whitespace"])
def test_chance_leaves_no_sentence_alone(name: str) -> None:
    """At least one change is made, however short the docstring."""
    assert all(perturb_sentence("Take them.", name, seed) != "Take them." for seed in range(50))


def test_no_other_name_is_made() -> None:
    """No typing error makes a parameter or a function word: of "cat" no `cta`, of "form" no "from"."""
    assert {perturb_sentence("Form", "swap_characters", seed) for seed in range(150)} == {"oFrm", "Fomr", "oFmr"}
    assert {perturb_sentence("Cat", "swap_characters", seed, parameters="cta") for seed in range(60)} == {"aCt"}


def test_blanks_join_and_tear_no_names() -> None:
    """Neither two words nor a part of a word become a parameter."""
    sentence = "Take some one."
    found = {perturb_sentence(sentence, "whitespace", seed, parameters="someone, ta") for seed in range(60)}

    assert not any(re.search(r"\bsomeone\b|\bTa\b", text) for text in found)
