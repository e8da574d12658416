"""Detect calibration texts that contain benchmark problems: a model calibrated on them looks better than it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

NGRAM_TOKENS = 13
"""The n-gram size of Brown et al., "Language models are few-shot learners" (arXiv 2005.14165), appendix C."""

_ENOUGH = 0.5
_TOKEN = re.compile(r"\w+|[^\w\s]")

_Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A text that is, or contains, or is part of a benchmark problem."""

    text: int
    """Index of the text."""
    task_id: str
    share: float
    """Common n-grams divided by the distinct n-grams of the shorter one, 0.5 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """A tokenized text or problem."""

    line: str
    """The tokens, each between blanks: a substring of another line if and only if the tokens are part of its tokens."""
    grams: frozenset[_Gram]
    """Distinct n-grams; empty if there are too few tokens."""


def find_overlap(texts: Sequence[str], problems: Iterable[tuple[str, str]]) -> Overlap | None:
    """Return the first text that overlaps with a problem, and the problem it shares most with; None if there is none.

    Texts are compared as tokens (words and single symbols), so that indentation and line breaks do not matter. Two
    overlap if at least half of the distinct 13-grams of the one with fewer occur in the other. Brown et al. (see
    `NGRAM_TOKENS`) discard texts that share a single one; half of them tolerates idioms and still detects texts that
    are cut or prefixed. A text of fewer than 13 tokens overlaps if the other contains it as a whole.

    Args:
        texts: Calibration texts.
        problems: Task ids, each with the text that must not be seen, such as prompt and reference solution.
    """
    task_ids, codes = [], []
    for task_id, problem in problems:
        task_ids.append(task_id)
        codes.append(_read(problem))
    index = _index(codes)
    for number, text in enumerate(texts):
        shares = dict(_shares(_read(text), codes, index))
        if shares:
            best = max(shares, key=lambda problem: shares[problem])
            return Overlap(text=number, task_id=task_ids[best], share=shares[best])
    return None


def _read(text: str) -> _Code:
    tokens = _TOKEN.findall(text)
    grams = zip(*(tokens[start:] for start in range(NGRAM_TOKENS)), strict=False)
    return _Code(line=f" {' '.join(tokens)} ", grams=frozenset(grams))


def _index(codes: Sequence[_Code]) -> dict[_Gram, list[int]]:
    """Return the problems of each n-gram."""
    index: dict[_Gram, list[int]] = {}
    for number, code in enumerate(codes):
        for gram in code.grams:
            index.setdefault(gram, []).append(number)
    return index


def _shares(text: _Code, codes: Sequence[_Code], index: dict[_Gram, list[int]]) -> Iterator[tuple[int, float]]:
    """Yield every problem that overlaps with a text, with the share of common n-grams."""
    if not text.line.strip():
        return
    common = Counter(chain.from_iterable(index.get(gram, ()) for gram in text.grams))
    for number, code in enumerate(codes):
        if text.grams and code.grams:
            share = common[number] / min(len(text.grams), len(code.grams))
        else:
            share = float(text.line in code.line or code.line in text.line)
        if share >= _ENOUGH:
            yield number, share
