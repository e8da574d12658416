"""Synonyms in place of a word and after it."""

from __future__ import annotations

import pytest

from tests.unit.perturb.builders import perturb_sentence

SENTENCE = "Checks whether the largest element of a list is found, and returns another one otherwise."


def test_synonyms_stand_in_the_same_form() -> None:
    """A synonym has the inflectional form and the case of its word, and no article becomes wrong."""
    found = {
        perturb_sentence("Finds what contains a single component.", "synonym_substitution", seed) for seed in range(50)
    }
    words = {word for text in found for word in text.split()}

    assert words == {
        "Finds", "Discovers", "Detects", "what", "contains", "comprises", "incorporates", "a", "single", "component.",
        "constituent.",
    }  # fmt: skip


def test_synonyms_may_stand_beside_a_word() -> None:
    """Insertion keeps every word, in order."""
    for seed in range(20):
        found = perturb_sentence(SENTENCE, "synonym_insertion", seed)
        rest = iter(found.replace(",", " ,").split())

        assert found != SENTENCE
        assert all(word in rest for word in SENTENCE.replace(",", " ,").split())


@pytest.mark.parametrize(
    "sentence",
    [
        "Return the sum of each integer, the index and the length of the string.",
        "Find out how to set it up.",  # to find out is another verb
        "See the check and the use.",  # nouns
        "A find-all is non-single.",  # compounds
    ],
)
def test_words_without_a_sure_synonym_stay(sentence: str) -> None:
    """Technical terms, other verbs, other parts of speech and compounds are not touched."""
    assert {perturb_sentence(sentence, "synonym_substitution", seed) for seed in range(20)} == {sentence}
