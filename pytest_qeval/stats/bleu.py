"""Smoothed BLEU-4 of one sentence against another, as code summarization reports it, and chrF beside it."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from math import exp, log

from pytest_qeval.errors import MissingPackageError

_ORDER = 4
_TOKEN = re.compile(r"[^\W_]+|_|[^\w\s]")
_SMALLEST = sys.float_info.min
"""Replaces a count of 0, which has no logarithm."""


def bleu_tokens(text: str) -> list[str]:
    """Split a sentence as the code-to-text evaluation of CodeXGLUE (Lu et al., 2021, arXiv:2102.04664) does.

    It converts to lower case, puts blanks around everything that is not a letter, digit, underscore or blank, and then
    applies the tokenisation of NIST's `mteval-v11b`. Of that only one rule still has an effect after the first step: an
    underscore becomes a token of its own.

    >>> bleu_tokens("Set self.max_len to 3.5")
    ['set', 'self', '.', 'max', '_', 'len', 'to', '3', '.', '5']
    """
    return _TOKEN.findall(text.strip().lower())


def smoothed_bleu(prediction: str, reference: str) -> float:
    """Return the smoothed BLEU-4 of one prediction against one reference, 0 to 1.

    exp(Σₙ log pₙ / 4 + min(0, 1 − (r + 1) / (h + 1))) for h tokens predicted and r in the reference. pₙ is the clipped
    share of the prediction's n-grams that the reference has (Papineni et al., 2002), with 1 added to both counts for
    n = 2 to 4 (Lin & Och, 2004, "ORANGE", section 4) and to neither for n = 1, where the smallest normal double keeps
    the logarithm finite. The brevity penalty with 1 added to both lengths is CodeXGLUE's; so is the score of an empty
    prediction, exp(−r) rather than 0. The score of a corpus is the mean of its sentences' scores.

    >>> round(smoothed_bleu("Return largest element in list", "Return the largest element of the list"), 4)
    0.2896
    """
    own, other = bleu_tokens(prediction), bleu_tokens(reference)
    logs = (_log_precision(own, other, n) for n in range(1, _ORDER + 1))
    return exp(sum(logs) / _ORDER + min(0.0, 1 - (len(other) + 1) / (len(own) + 1)))


def _log_precision(own: Sequence[str], other: Sequence[str], n: int) -> float:
    found = _ngrams(own, n)
    common, total = (found & _ngrams(other, n)).total(), found.total()
    extra = _SMALLEST + (n > 1)
    return log(common + extra) - log(total + extra)


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def chrf(prediction: str, reference: str) -> float:
    """Return chrF2 of one prediction against one reference, 0 to 1, through `sacrebleu` with its own defaults.

    The F-score (β = 2) of character n-grams, n = 1 to 6, without blanks, case-sensitive (Popović, 2015).

    Raises:
        MissingPackageError: If `sacrebleu` is not installed.
    """
    try:
        from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError("sacrebleu", extra="summarization", purpose="chrF") from error
    return float(CHRF().sentence_score(prediction, [reference]).score) / 100
