"""Perturbations of the forms of words: another inflectional form, past tense, future tense.

Words changed per prompt, mean over HumanEval, seed 0 of ReCode's release (Wang et al., 2022, arXiv:2212.10264) and
seeds 0 to 4 of ours: inflection 9.6 and 7.2, past 5.0 and 3.7, future 8.6 and 7.1. Adjectives are left alone: the large
element is not the largest.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial

from pytest_qeval.errors import MissingPackageError
from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.context import before, begins_sentence, follows_determiner, sentence, whole_words
from pytest_qeval.perturb.docstring.edits import Edit, edit_docstring
from pytest_qeval.perturb.docstring.lexicon import load_lexicon
from pytest_qeval.perturb.docstring.prose_marks import Stretch
from pytest_qeval.perturb.docstring.words import FUNCTION_WORDS, IMPERATIVES, in_case_of

__all__ = ["INFLECTION", "INVARIANT", "TENSE_FUTURE", "TENSE_PAST"]

INVARIANT = "Code, names, literals and examples keep every character, and the docstring's quotes stay where they are."
SHARE = 0.8
"""Of nouns and verbs that have another form."""

_PAST: Mapping[str, str] = {
    "am": "was", "are": "were", "can": "could", "do": "did", "does": "did", "has": "had", "have": "had", "is": "was",
    "may": "might", "shall": "should", "will": "would",
}  # fmt: skip
_FUTURE: Mapping[str, str] = {
    "am": "will be", "are": "will be", "can": "will be able to", "do": "will", "does": "will", "has": "will have",
    "have": "will have", "is": "will be", "must": "will have to", "should": "will have to",
}  # fmt: skip
_INFINITIVE = re.compile(r"\b(?:can|could|may|might|must|not|shall|should|to|will|would)\b", re.IGNORECASE)
"""After these a verb in its plain form has no tense."""
_AFTER = frozenset({"i", "they", "we", "who", "you"})
"""After these a verb in its plain form is finite."""
_NOT = re.compile(" +not\\b")
_FIXED = frozenset({"floating", "left", "mean", "means", "missing", "python"})
"""What has lost its forms, or has none: the left side is not what was left."""
_AND = frozenset({"and", "or", "then"})


@lru_cache(maxsize=4096)
def _forms(lemma: str, kind: str) -> Mapping[str, str]:
    """Return a lemma's forms by their tags (NN, NNS, VB, VBD, VBG, VBN, VBZ); empty for an unknown one.

    Raises:
        MissingPackageError: without the package lemminflect.
    """
    try:
        from lemminflect import getAllInflections  # noqa: PLC0415 - an extra, and it imports numpy
    except ModuleNotFoundError as error:
        raise MissingPackageError("lemminflect", extra="robustness", purpose="inflecting words") from error
    return {tag: forms[0] for tag, forms in sorted(getAllInflections(lemma, kind).items())}


@lru_cache(maxsize=4096)
def _lemma(word: str) -> tuple[str, str] | None:
    """Return a word's lemma and part of speech, when it is nearly always this noun or this verb."""
    _forms("be", "VERB")  # says what is missing
    from lemminflect import getAllLemmas  # noqa: PLC0415 - an extra, and it imports numpy

    lemmas = {kind: found[0] for kind, found in getAllLemmas(word).items() if kind in {"NOUN", "VERB", "ADJ", "ADV"}}
    kind = load_lexicon().kinds.get(word) or (next(iter(lemmas)) if len(lemmas) == 1 else "")
    return (lemmas[kind], kind) if kind in {"NOUN", "VERB"} and kind in lemmas else None


def _inflections(prompt: str, span: Stretch, rng: random.Random) -> Iterator[Edit]:
    for start, word in whole_words(prompt, span):
        known = None if word.lower() in FUNCTION_WORDS | _FIXED else _lemma(word.lower())
        forms = sorted({*_forms(*known).values()} - {word.lower()}) if known else []
        if forms:
            yield Edit(start, start + len(word), in_case_of(word, rng.choice(forms)), SHARE)


def _finite_verb(prompt: str, start: int, word: str) -> str | None:
    """Return the lemma of a verb in the present tense or the imperative; when in doubt it is none."""
    if word.endswith("s") and not follows_determiner(prompt, start):
        lemmas = [
            lemma for lemma in (word[:-1], word[:-2], word[:-3] + "y") if _forms(lemma, "VERB").get("VBZ") == word
        ]
        known = _lemma(word)
        return lemmas[0] if lemmas and (lemmas[0] in IMPERATIVES or known == (lemmas[0], "VERB")) else None
    if before(prompt, start) in _AFTER:
        return word if _forms(word, "VERB").get("VB") == word else None
    if word not in IMPERATIVES:
        return None
    so_far = sentence(prompt, start)
    follows = before(prompt, start) in _AND or so_far.rstrip().endswith(",")
    return word if begins_sentence(prompt, start) or (follows and not _INFINITIVE.search(so_far)) else None


def _past(lemma: str) -> str | None:
    return _forms(lemma, "VERB").get("VBD")


def _future(lemma: str) -> str | None:
    return f"will {lemma}"


def _tenses(
    prompt: str,
    span: Stretch,
    _rng: random.Random,
    *,
    auxiliaries: Mapping[str, str],
    conjugate: Callable[[str], str | None],
) -> Iterator[Edit]:
    for start, word in whole_words(prompt, span):
        lower = word.lower()
        if lower in auxiliaries:
            # "has to have", "do not have": an infinitive has no tense
            new = None if _INFINITIVE.fullmatch(before(prompt, start)) else auxiliaries[lower]
        else:
            lemma = None if lower in FUNCTION_WORDS else _finite_verb(prompt, start, lower)
            new = conjugate(lemma) if lemma else None
        stop = start + len(word)
        if new and " " in new and (negation := _NOT.match(prompt, stop, span.stop)):
            new, stop = new.replace(" ", " not ", 1), negation.end()
        if new:
            yield Edit(start, stop, in_case_of(word, new), 1.0)


INFLECTION = Perturbation(
    name="inflection",
    category="docstring",
    level="word",
    summary=f"nouns and verbs of the docstring's prose take another inflectional form ({SHARE:.0%} of them)",
    invariant=f"{INVARIANT} Every word keeps its lemma.",
    apply=partial(edit_docstring, edits=_inflections, forbidden=()),
)
TENSE_PAST = Perturbation(
    name="tense_past",
    category="docstring",
    level="word",
    summary="verbs of the docstring's prose stand in the past tense (all that are surely verbs in the present)",
    invariant=f"{INVARIANT} Every word keeps its lemma.",
    apply=partial(edit_docstring, edits=partial(_tenses, auxiliaries=_PAST, conjugate=_past), forbidden=()),
    random=False,
)
TENSE_FUTURE = Perturbation(
    name="tense_future",
    category="docstring",
    level="word",
    summary="verbs of the docstring's prose stand in the future tense (all that are surely verbs in the present)",
    invariant=INVARIANT,
    apply=partial(edit_docstring, edits=partial(_tenses, auxiliaries=_FUTURE, conjugate=_future), forbidden=()),
    random=False,
)
