"""A model's next-token distributions over given texts, kept small: the likeliest tokens, and one tail for the rest.

Two models can then be compared without loading both, and a baseline's scores fit in a file. Needs no torch. The tail
joins all other tokens, so that every divergence here is a lower bound of the full one (the log-sum inequality; Cover
and Thomas, "Elements of Information Theory", theorem 2.7.1).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_qeval.errors import DataError

DEFAULT_K = 32
"""Tokens that are kept of a distribution, at most."""
LEAST_RATIO = 1e-5
"""A token this much less likely than the likeliest is not kept, whatever k is."""
_DECIMALS = 5
_LOWEST = -100.0
"""Nats, below what a float32 softmax can return; a finite number can be written as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores:
    """A model's distribution at each token of a solution; every logarithm is rounded by `kept_log_prob`."""

    task_id: str
    tokens_sha256: str
    """Of the text's tokens; models are compared on equal tokens only."""
    choices: tuple[int, ...]
    """The most likely token; the first of equals, as in greedy decoding."""
    top_ids: tuple[tuple[int, ...], ...]
    """The baseline's likeliest tokens, at least one; a candidate's scores are of the same tokens, as far as its server
    has listed them."""
    top_log_probs: tuple[tuple[float, ...], ...]
    tail_log_probs: tuple[float, ...]
    """Of all other tokens together: kept, because 1 minus rounded probabilities would be mostly rounding."""
    reference_log_probs: tuple[float, ...]
    """Of the token that the solution has there."""

    def check(self) -> None:
        """Make sure that every token has its share of everything.

        Raises:
            DataError: when lists do not have the same length.
        """
        top = (self.top_ids, self.top_log_probs)
        lists: tuple[Sequence[Any], ...] = (self.choices, *top, self.tail_log_probs, self.reference_log_probs)
        if len(set(map(len, lists))) > 1 or list(map(len, top[0])) != list(map(len, top[1])) or () in self.top_ids:
            raise DataError(f"the scores of {self.task_id} have lists of different lengths: measure them again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a model thinks of the solutions of a benchmark's problems."""

    k: int
    """Tokens that were kept of a distribution, at most."""
    texts: Mapping[str, TextScores]
    """By task id."""
    incomparable: tuple[str, ...]
    """Task ids of texts that were left out: the baseline has seen other tokens or none, or the context has no room."""
    duration_s: float
    listed: int | None = None
    """Likeliest tokens that an engine lists at each position; None where all are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDivergence:
    """A candidate against its baseline over one text, one value a token."""

    task_id: str
    kl: tuple[float, ...]
    """KL(baseline ‖ candidate) in nats, at least 0."""
    reverse_kl: tuple[float, ...]
    """KL(candidate ‖ baseline) in nats, at least 0."""
    same_top1: tuple[bool, ...]
    delta_p: tuple[float, ...]
    """Candidate minus baseline probability of the solution's token, -1 to 1."""
    baseline_log_probs: tuple[float, ...]
    """Of the solution's token."""
    candidate_log_probs: tuple[float, ...]
    unlisted: float = 0.0
    """Baseline probability, over all tokens, of what joined the tail because the candidate's server did not list it."""


def kept_log_prob(value: float) -> float:
    """Round a log-probability to 5 decimals, from -100 (impossible) to 0.

    Scores are rounded when they are made, not when they are written, so that a baseline from a file gives the same
    numbers as one that was just measured.
    """
    return min(max(round(value, _DECIMALS), _LOWEST), 0.0) + 0.0  # adding 0.0 turns -0.0 into 0.0


def digest(token_ids: Sequence[int], n_prompt: int) -> str:
    """Return the SHA-256 of a text's tokens and of where its solution begins."""
    return hashlib.sha256(f"{n_prompt}:{','.join(map(str, token_ids))}".encode()).hexdigest()


def compare_scores(baseline: TextScores, candidate: TextScores) -> TextDivergence:
    """Compare two models over the same text, with the baseline's likeliest tokens and the tail as outcomes.

    Tokens that the candidate's server has not listed join the tail, of both: the divergence is a lower bound still.

    Raises:
        DataError: when the candidate's scores are of other texts or tokens.
    """
    if not _comparable(baseline, candidate):
        raise DataError(f"the scores of {baseline.task_id} are of other tokens than the baseline's: measure them anew.")
    p, q = _outcomes(baseline, candidate.top_ids), _outcomes(candidate, candidate.top_ids)
    references = (baseline.reference_log_probs, candidate.reference_log_probs)
    return TextDivergence(
        task_id=baseline.task_id,
        kl=tuple(map(_divergence, p, q)),
        reverse_kl=tuple(map(_divergence, q, p)),
        same_top1=tuple(a == b for a, b in zip(baseline.choices, candidate.choices, strict=True)),
        delta_p=tuple(math.exp(q) - math.exp(p) for p, q in zip(*references, strict=True)),
        baseline_log_probs=references[0],
        candidate_log_probs=references[1],
        unlisted=math.fsum(_unlisted(baseline, candidate.top_ids)),
    )


def _comparable(baseline: TextScores, candidate: TextScores) -> bool:
    """Return whether scores are of the same text, and the candidate's of no other tokens than the baseline's."""
    if baseline.tokens_sha256 != candidate.tokens_sha256 or len(baseline.top_ids) != len(candidate.top_ids):
        return False
    pairs = zip(baseline.top_ids, candidate.top_ids, strict=True)
    return all(ids == known or ids == tuple(one for one in known if one in ids) for known, ids in pairs)


def _outcomes(scores: TextScores, top_ids: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
    """Return the log-probabilities of these tokens at each position, and of all others together."""
    return [tuple(_lumped(*row)) for row in _rows(scores, top_ids)]


def _lumped(log_probs: Mapping[int, float], ids: Sequence[int], tail: float) -> Iterator[float]:
    others = [log_probs[token] for token in log_probs.keys() - set(ids)]
    yield from (log_probs[token] for token in ids)
    yield math.log(math.fsum(map(math.exp, (tail, *others)))) if others else tail


def _unlisted(scores: TextScores, top_ids: Sequence[Sequence[int]]) -> Iterator[float]:
    """Yield the probability of tokens that were kept, and are not among these, at each position."""
    for log_probs, ids, _ in _rows(scores, top_ids):
        yield math.fsum(math.exp(log_probs[token]) for token in log_probs.keys() - set(ids))


def _rows(
    scores: TextScores, top_ids: Sequence[Sequence[int]]
) -> Iterator[tuple[Mapping[int, float], Sequence[int], float]]:
    """Yield each position's log-probabilities by token, the tokens to keep of them, and the tail."""
    own = zip(scores.top_ids, scores.top_log_probs, scores.tail_log_probs, top_ids, strict=True)
    for known, log_probs, tail, ids in own:
        yield dict(zip(known, log_probs, strict=True)), ids, tail


def _divergence(log_p: Sequence[float], log_q: Sequence[float]) -> float:
    """Return KL(p ‖ q) = Σ p log(p/q) - p + q over outcomes, in nats.

    The last two terms sum to 0 for distributions. For rounded ones they remove the first order of the rounding, so that
    no divergence is negative, and an error of 1e-5 in a logarithm becomes one of 1e-10 between equal distributions.
    """
    return math.fsum(map(_term, log_p, log_q))


def _term(log_p: float, log_q: float) -> float:
    ratio = log_p - log_q
    if abs(ratio) < 1:
        return math.exp(log_p) * (ratio + math.expm1(-ratio))  # without the cancellation of the plain formula
    p = math.exp(log_p)
    return p * ratio - p + math.exp(log_q)
