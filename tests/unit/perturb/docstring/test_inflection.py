"""Other inflectional forms of words, past and future tense."""

from __future__ import annotations

import sys

import pytest

from pytest_qeval.errors import MissingPackageError
from tests.unit.perturb.builders import perturb_sentence


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that no other test inflects, since known forms are cached."""
    monkeypatch.setitem(sys.modules, "lemminflect", None)

    with pytest.raises(MissingPackageError, match=r"'lemminflect': pip install 'pytest-qeval\[robustness\]'"):
        perturb_sentence("The mountains and the rivers.", "inflection")


@pytest.fixture
def _lemminflect() -> None:
    pytest.importorskip("lemminflect", reason="the robustness extra is not installed")


@pytest.mark.usefixtures("_lemminflect")
@pytest.mark.parametrize(
    ("sentence", "past", "future"),
    [
        ("Return the value.", "Returned the value.", "Will return the value."),
        ("This function takes it and returns two.", "This function took it and returned two.",
         "This function will take it and will return two."),
        ("It is empty and they are not.", "It was empty and they were not.",
         "It will be empty and they will not be."),
        ("Given one, return another.", "Given one, returned another.", "Given one, will return another."),
        ("You need to find and return it.", "You needed to find and return it.",
         "You will need to find and return it."),
        ("They do not have it.", "They did not have it.", "They will not have it."),
        ("Do not use it.", "Did not use it.", "Will not use it."),
        ("It has to have the returns of each.", "It had to have the returns of each.",
         "It will have to have the returns of each."),
        ("Separate groups as follows.", "Separate groups as follows.", "Separate groups as follows."),
    ],
)  # fmt: skip
def test_finite_verbs_take_the_tense(sentence: str, past: str, future: str) -> None:
    """Verbs in the present and the imperative are conjugated; infinitives, nouns and participles are not."""
    assert perturb_sentence(sentence, "tense_past") == past
    assert perturb_sentence(sentence, "tense_future") == future


@pytest.mark.usefixtures("_lemminflect")
@pytest.mark.parametrize("sentence", ["The largest of the left.", "The missing mean.", "Of all of them."])
def test_some_words_have_no_other_form(sentence: str) -> None:
    """Adjectives, also those that were participles once, function words and terms of statistics."""
    assert perturb_sentence(sentence, "inflection") == sentence


@pytest.mark.usefixtures("_lemminflect")
def test_inflection_keeps_the_lemma() -> None:
    """Nouns and verbs take another of their forms; adjectives and function words stay."""
    found = {perturb_sentence("Takes the largest element of each.", "inflection", seed) for seed in range(50)}

    assert {text.split()[0] for text in found} == {"Take", "Takes", "Taking", "Taken", "Took"}
    assert {text.split()[3] for text in found} == {"element", "elements"}
    assert {" ".join(text.split()[1:3] + text.split()[4:]) for text in found} == {"the largest of each."}
