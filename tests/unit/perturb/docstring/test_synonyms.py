"""What each perturbation of prose does to it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.errors import DataError, MissingPackageError
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.docstring import inflection as docstring_inflection
from pytest_qeval.perturb.docstring import lexicon
from pytest_qeval.perturb.docstring.lexicon import load_lexicon
from pytest_qeval.perturb.docstring.words import FUNCTION_WORDS, TECHNICAL
from pytest_qeval.schema import Problem

SENTENCE = "Checks whether the largest element of a list is found, and returns another one otherwise."


def ask(sentence: str, *, parameters: str = "") -> Problem:
    """Make a problem whose docstring is a sentence."""
    return Problem(
        benchmark="b",
        task_id="b/0",
        prompt=f'def f({parameters}):\n    """{sentence}"""\n',
        entry_point="f",
        test="",
        canonical_solution="    return 1\n",
    )


def perturb(sentence: str, name: str, seed: int = 0, *, parameters: str = "") -> str:
    """Return the sentence after a perturbation."""
    problem = ask(sentence, parameters=parameters)
    prompt = perturb_problem(problem, registry.load("perturbations", name), seed).prompt
    return prompt.removeprefix(f'def f({parameters}):\n    """').removesuffix('"""\n')


def test_slips_are_made_on_neighbouring_keys() -> None:
    """Every changed letter is beside the old one on the keyboard, in the same case."""
    keys = {"e": "wrsd", "m": "njk", "a": "qwsz", "l": "okp"}
    found = {(old, new) for seed in range(300) for old, new in zip("Meal", perturb("Meal", "butter_fingers", seed))}  # noqa: B905 - no letters are added
    changed = {(old, new) for old, new in found if old != new}

    assert {old for old, _ in changed} == {"M", "e", "a", "l"}
    assert all(new.lower() in keys[old.lower()] and new.isupper() == old.isupper() for old, new in changed)


def test_swapped_letters_are_neighbours_in_one_word() -> None:
    """Words keep their letters."""
    for seed in range(30):
        found = perturb(SENTENCE, "swap_characters", seed)

        assert found != SENTENCE
        assert [sorted(word) for word in found.split()] == [sorted(word) for word in SENTENCE.split()]


def test_case_alone_changes() -> None:
    """In lower case the sentence is the same."""
    assert {perturb(SENTENCE, "change_case", seed).lower() for seed in range(30)} == {SENTENCE.lower()}


def test_blanks_alone_change() -> None:
    """Without blanks the sentence is the same; both more and fewer occur, and no single letter is torn off."""
    found = [perturb(SENTENCE, "whitespace", seed) for seed in range(30)]

    assert {text.replace(" ", "") for text in found} == {SENTENCE.replace(" ", "")}
    assert {"  " in text for text in found} == {False}
    assert min(text.count(" ") for text in found) < SENTENCE.count(" ") < max(text.count(" ") for text in found)
    assert {word for text in found for word in re.findall(r"\b\w\b", text)} <= {"a"}


@pytest.mark.parametrize("name", ["butter_fingers", "swap_characters", "change_case", "whitespace"])
def test_chance_leaves_no_sentence_alone(name: str) -> None:
    """Where the share of changes is small, one is made nevertheless."""
    assert all(perturb("Give them.", name, seed) != "Give them." for seed in range(50))


def test_no_other_name_is_made() -> None:
    """A slip that would be a parameter or a word of some weight is not made: of "cat" no `cta`, of "form" no "from"."""
    assert {perturb("Form", "swap_characters", seed) for seed in range(60)} == {"oFrm", "Fomr", "oFmr"}
    assert {perturb("Cat", "swap_characters", seed, parameters="cta") for seed in range(60)} == {"aCt"}


def test_blanks_join_and_tear_no_names() -> None:
    """No two words become a parameter, nor does a part of one."""
    sentence = "Give some one."
    found = {perturb(sentence, "whitespace", seed, parameters="someone, gi") for seed in range(200)}

    assert not any(re.search(r"\bsomeone\b|\bGi\b", text) for text in found)


def test_synonyms_stand_in_the_same_form() -> None:
    """What is put in place of a word is a synonym in its inflectional form and case, and no article becomes wrong."""
    found = {perturb("Finds what contains a single component.", "synonym_substitution", seed) for seed in range(80)}
    words = {word for text in found for word in text.split()}

    assert words == {
        "Finds", "Discovers", "Detects", "what", "contains", "comprises", "incorporates", "a", "single", "component.",
        "constituent.",
    }  # fmt: skip


def test_synonyms_may_stand_beside_a_word() -> None:
    """Insertion keeps every word, in order."""
    for seed in range(20):
        found = perturb(SENTENCE, "synonym_insertion", seed)
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
def test_what_has_no_sure_synonym_stays(sentence: str) -> None:
    """Technical terms, other verbs, other parts of speech and compounds are not touched."""
    assert {perturb(sentence, "synonym_substitution", seed) for seed in range(20)} == {sentence}


def test_the_lexicon_holds_no_terms() -> None:
    """Neither in whose place something stands, nor what stands there, is a technical or a function word."""
    synonyms = load_lexicon().synonyms
    others = {other for kinds in synonyms.values() for found in kinds.values() for other in found}

    assert len(synonyms) > 400
    assert (synonyms.keys() | others) & (TECHNICAL | FUNCTION_WORDS) == set()


def test_wordnets_licence_is_shipped() -> None:
    """It has to appear on all copies of the database."""
    text = lexicon.PATH.with_name("WORDNET-LICENSE").read_text(encoding="utf-8")

    assert text.startswith("This software and database is being provided to you")
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in text


def test_another_lexicon_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other synonyms the perturbed problems would be others."""
    tmp_path.joinpath("lexicon.json.gz").write_bytes(lexicon.PATH.read_bytes())
    tmp_path.joinpath("lexicon.sha256").write_text("0" * 64, encoding="utf-8")
    monkeypatch.setattr(lexicon, "PATH", tmp_path / "lexicon.json.gz")

    with pytest.raises(DataError, match=r"sha256 .*, expected 000000000000…: install pytest-qeval again"):
        load_lexicon.__wrapped__()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for inflection without lemminflect is told what to install."""
    monkeypatch.setitem(sys.modules, "lemminflect", None)
    docstring_inflection._forms.cache_clear()
    docstring_inflection._lemma.cache_clear()

    with pytest.raises(MissingPackageError, match=r"'lemminflect': pip install 'pytest-qeval\[robustness\]'"):
        perturb(SENTENCE, "inflection")


class TestWithLemminflect:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("lemminflect", reason="the robustness extra is not installed")

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
    def test_finite_verbs_take_the_tense(self, sentence: str, past: str, future: str) -> None:
        """Verbs in the present and the imperative are conjugated; infinitives, nouns and participles are not."""
        assert perturb(sentence, "tense_past") == past
        assert perturb(sentence, "tense_future") == future

    @pytest.mark.parametrize("sentence", ["The largest of the left.", "The missing mean.", "Of all of them."])
    def test_some_words_have_no_other_form(self, sentence: str) -> None:
        """Adjectives, also those that were participles once, function words and terms of statistics."""
        assert perturb(sentence, "inflection") == sentence

    def test_inflection_keeps_the_lemma(self) -> None:
        """Nouns and verbs take other forms of theirs; adjectives and function words stay."""
        found = {perturb("Takes the largest element of each.", "inflection", seed) for seed in range(80)}

        assert {text.split()[0] for text in found} == {"Take", "Takes", "Taking", "Taken", "Took"}
        assert {text.split()[3] for text in found} == {"element", "elements"}
        assert {" ".join(text.split()[1:3] + text.split()[4:]) for text in found} == {"the largest of each."}
