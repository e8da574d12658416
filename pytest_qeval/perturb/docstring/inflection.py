"""Perturbations of the forms of words: another inflectional form, past tense, future tense.

Adjectives stay: the large element is not the largest.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.edits import INVARIANT, ProseEdit, edit_docstring
from pytest_qeval.perturb.docstring.lexicon import load_lemminflect, load_lexicon
from pytest_qeval.perturb.docstring.markup import Span
from pytest_qeval.perturb.docstring.words import (
    FUNCTION_WORDS,
    IMPERATIVES,
    INFINITIVE,
    begins_sentence,
    follows_determiner,
    match_case,
    sentence_before,
    whole_words,
    word_before,
    word_set,
)

_SHARE = 0.8
"""Of nouns and verbs that have another form."""

_PAST: Mapping[str, str] = {
    "am": "was", "are": "were", "can": "could", "do": "did", "does": "did", "has": "had", "have": "had", "is": "was",
    "may": "might", "shall": "should", "will": "would",
}  # fmt: skip
_FUTURE: Mapping[str, str] = {
    "am": "will be", "are": "will be", "can": "will be able to", "do": "will", "does": "will", "has": "will have",
    "have": "will have", "is": "will be", "must": "will have to", "should": "will have to",
}  # fmt: skip
_SUBJECTS = word_set("i they we who you")
"""After these a plain verb form is finite."""
_NOT = re.compile(" +not\\b")
_FIXED = word_set("floating left mean means missing python")
"""Words that have lost their forms, or have none: the left side is not what was left."""
_AND = word_set("and or then")


@lru_cache(maxsize=4096)
def _forms(lemma: str, kind: str) -> Mapping[str, str]:
    """Return a lemma's forms by their tags (NN, NNS, VB, VBD, VBG, VBN, VBZ); empty for an unknown lemma."""
    return {tag: forms[0] for tag, forms in sorted(load_lemminflect().getAllInflections(lemma, kind).items())}


@lru_cache(maxsize=4096)
def _lemma(word: str) -> tuple[str, str] | None:
    """Return a word's lemma and part of speech, where it is nearly always this noun or this verb."""
    found = load_lemminflect().getAllLemmas(word)
    lemmas = {kind: lemmas[0] for kind, lemmas in found.items() if kind in {"NOUN", "VERB", "ADJ", "ADV"}}
    kind = load_lexicon().kinds.get(word) or (next(iter(lemmas)) if len(lemmas) == 1 else "")
    return (lemmas[kind], kind) if kind in {"NOUN", "VERB"} and kind in lemmas else None


def _inflections(prompt: str, span: Span, rng: random.Random) -> Iterator[ProseEdit]:
    for start, word in whole_words(prompt, span):
        known = None if word.lower() in FUNCTION_WORDS | _FIXED else _lemma(word.lower())
        forms = sorted({*_forms(*known).values()} - {word.lower()}) if known else []
        if forms:
            yield ProseEdit(start, start + len(word), match_case(word, rng.choice(forms)), _SHARE)


def _finite_verb(prompt: str, start: int, word: str) -> str | None:
    """Return the lemma of a verb in the present tense or the imperative; None for other words, and in doubt."""
    if word.endswith("s") and not follows_determiner(prompt, start):
        candidates = (word[:-1], word[:-2], word[:-3] + "y")
        lemma = next((lemma for lemma in candidates if _forms(lemma, "VERB").get("VBZ") == word), None)
        return lemma if lemma and (lemma in IMPERATIVES or _lemma(word) == (lemma, "VERB")) else None
    if word_before(prompt, start) in _SUBJECTS:
        return word if _forms(word, "VERB").get("VB") == word else None
    if word not in IMPERATIVES:
        return None
    before = sentence_before(prompt, start)
    follows = word_before(prompt, start) in _AND or before.rstrip().endswith(",")
    return (
        word
        if begins_sentence(prompt, start)
        or (follows and not INFINITIVE.intersection(re.findall(r"\w+", before.lower())))
        else None
    )


def _tenses(
    prompt: str,
    span: Span,
    _rng: random.Random,
    *,
    auxiliaries: Mapping[str, str],
    conjugate: Callable[[str], str | None],
) -> Iterator[ProseEdit]:
    for start, word in whole_words(prompt, span):
        lower = word.lower()
        if lower in auxiliaries:
            # "has to have", "do not have": an infinitive has no tense
            new = None if word_before(prompt, start) in INFINITIVE else auxiliaries[lower]
        else:
            lemma = None if lower in FUNCTION_WORDS else _finite_verb(prompt, start, lower)
            new = conjugate(lemma) if lemma else None
        stop = start + len(word)
        if new and " " in new and (negation := _NOT.match(prompt, stop, span.stop)):
            new, stop = new.replace(" ", " not ", 1), negation.end()
        if new:
            yield ProseEdit(start, stop, match_case(word, new), 1.0)


_past = partial(_tenses, auxiliaries=_PAST, conjugate=lambda lemma: _forms(lemma, "VERB").get("VBD"))
_future = partial(_tenses, auxiliaries=_FUTURE, conjugate=lambda lemma: f"will {lemma}")
_of_words = partial(Perturbation, category="docstring", level="word")

INFLECTION = _of_words(
    name="inflection",
    summary=f"nouns and verbs of the docstring's prose take another inflectional form ({_SHARE:.0%} of them)",
    invariant=f"{INVARIANT} Every word keeps its lemma.",
    apply=partial(edit_docstring, edits=_inflections, forbidden=()),
)
TENSE_PAST = _of_words(
    name="tense_past",
    summary="verbs of the docstring's prose stand in the past tense (all that are surely verbs in the present)",
    invariant=f"{INVARIANT} Every word keeps its lemma.",
    apply=partial(edit_docstring, edits=_past, forbidden=()),
    random=False,
)
TENSE_FUTURE = _of_words(
    name="tense_future",
    summary="verbs of the docstring's prose stand in the future tense (all that are surely verbs in the present)",
    invariant=INVARIANT,
    apply=partial(edit_docstring, edits=_future, forbidden=()),
    random=False,
)
