"""Smoothed BLEU-4 and chrF of single sentences."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.errors import MissingPackageError
from pytest_qeval.stats.bleu import bleu_tokens, chrf, smoothed_bleu

_DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
_GOLDEN = _DATA / "bleu_golden.json"

texts = st.text(max_size=60)
words = st.sampled_from(["return", "the", "a", "list", "of", "x", ",", ".", "_", "get_name", "3.5"])
sentences = st.lists(words, max_size=14).map(" ".join)


def nist_tokens(text: str) -> list[str]:
    """Follow the description literally: blanks around punctuation, then the rules of mteval-v11b."""
    line = " ".join(re.findall(r"[\w]+|[^\s\w]", text.strip().lower()))
    line = re.sub(r"-\n", "", line.replace("<skipped>", "")).replace("\n", " ")
    for entity, character in (("&quot;", '"'), ("&gt;", ">"), ("&lt;", "<"), ("&amp;", "&")):
        line = line.replace(entity, character)
    line = re.sub(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", r" \1 ", f" {line} ".lower())
    line = re.sub(r"([^0-9])([\.,])", r"\1 \2 ", line)
    line = re.sub(r"([\.,])([^0-9])", r" \1 \2", line)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", line).split()


@pytest.mark.skipif(
    not _GOLDEN.is_file(),
    reason="the published evaluator's scores are not part of this project: let QEVAL_TEST_DATA name their folder",
)
def test_the_published_evaluator_gives_the_same_scores() -> None:
    """For every pair as closely as `exp` and `log` allow, and for the corpus, whose score is the mean."""
    golden = json.loads(_GOLDEN.read_text(encoding="utf-8"))
    pairs = golden["pairs"]
    found = [smoothed_bleu(pair["prediction"], pair["reference"]) for pair in pairs]

    assert found == pytest.approx([pair["bleu"] for pair in pairs], rel=1e-12, abs=0)
    assert 100 * sum(found) / len(found) == pytest.approx(golden["corpus"]["mean_percent"], rel=1e-12)
    for pair in pairs:
        assert len(bleu_tokens(pair["reference"])) == pair["ref_tokens"]
        assert len(bleu_tokens(pair["prediction"])) == pair["pred_tokens"]


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        # precisions 4/5, (1+1)/(4+1), 1/(3+1), 1/(2+1); five tokens against seven
        (
            "return largest element in list",
            "Return the largest element of the list",
            (4 / 150) ** 0.25 * math.exp(-1 / 3),
        ),
        # "the" is clipped to its two: 2/6, 1/6, 1/5, 1/4; as long as the reference, so the penalty is 1 − 7/7 = 0
        ("the the the the the the", "the cat is on the mat", (2 / 6 / 6 / 5 / 4) ** 0.25),
        # nothing shared: the smallest normal double over 2, then 1/2, 1/1, 1/1; lengths 2 and 2
        ("delete user", "open socket", (sys.float_info.min / 2 / 2) ** 0.25),
        ("", "sort the items in place", math.exp(-5)),
        ("", "", 1.0),
        ("init", "init", 1.0),
    ],
    ids=["shorter", "clipped", "nothing-shared", "no-prediction", "both-empty", "one-token"],
)
def test_scores_that_can_be_worked_out_by_hand(prediction: str, reference: str, score: float) -> None:
    assert smoothed_bleu(prediction, reference) == pytest.approx(score, rel=1e-12)


@given(texts)
def test_the_short_tokenisation_is_the_described_one(text: str) -> None:
    """One regular expression stands for two steps with nine rules."""
    assert bleu_tokens(text) == nist_tokens(text)


@settings(deadline=None)  # the first example imports sacrebleu
@given(texts | sentences, texts | sentences)
def test_a_score_is_a_share(prediction: str, reference: str) -> None:
    """From above 0, for even no prediction scores something, to 1."""
    assert 0 <= smoothed_bleu(prediction, reference) <= 1 + 1e-12
    assert 0 <= chrf(prediction, reference) <= 1


@given(texts | sentences)
def test_a_sentence_is_its_own_best_prediction(text: str) -> None:
    """It scores 1 with any capitals and blanks, also where it is shorter than four tokens."""
    assert smoothed_bleu(text, text) == pytest.approx(1)
    assert smoothed_bleu(f"  {text} \n", text) == pytest.approx(1)


@given(sentences, sentences)
def test_capitals_say_nothing(prediction: str, reference: str) -> None:
    assert smoothed_bleu(prediction.upper(), reference) == smoothed_bleu(prediction, reference)


@given(sentences.flatmap(lambda text: st.tuples(st.just(text), st.permutations(text.split()))))
def test_of_equal_length_neither_side_matters(pair: tuple[str, list[str]]) -> None:
    """Counts of shared n-grams are symmetric; only lengths distinguish a prediction from its reference."""
    text, words = pair

    assert smoothed_bleu(text, " ".join(words)) == pytest.approx(smoothed_bleu(" ".join(words), text))


@given(sentences, sentences)
def test_words_that_the_reference_lacks_never_help(prediction: str, reference: str) -> None:
    """Once nothing is too short: a longer prediction with nothing new in common scores less."""
    whole = f"{prediction} {reference}"

    assert smoothed_bleu(f"{whole} zebra", reference) < smoothed_bleu(whole, reference) or not reference.split()


def test_chrf_counts_characters_that_words_share() -> None:
    """Another ending is another token in BLEU, and nearly the same in chrF; a case worked out by hand."""
    assert chrf("loaded", "loading") > 0.2 > smoothed_bleu("loaded", "loading")
    # one shared character of two on either side, no shared pair: the mean of the orders' precisions is (1/2 + 0) / 2,
    # as is that of the recalls, and F of two equal numbers is that number
    assert chrf("ab", "ac") == pytest.approx(0.25)
    assert chrf("same", "same") == pytest.approx(1)


def test_without_sacrebleu_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.chrf", None)

    with pytest.raises(MissingPackageError, match=r"pytest-qeval\[summarization\]"):
        chrf("a", "b")
