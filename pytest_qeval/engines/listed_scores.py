"""Teacher-forced scores made of listed log-probabilities: of engines that give those of the likeliest tokens only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_qeval.measure.topk import DEFAULT_K, LEAST_RATIO, TextScores, kept_log_prob

LISTED = 4 * DEFAULT_K
"""Likeliest tokens to ask for: more than are kept, so that a candidate's list holds those that a baseline has kept."""
_LEAST_TAIL = 1e-6
"""Softmax in float32: 1 minus the sum of listed probabilities is not known better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """What an engine says of one position."""

    log_probs: Mapping[int, float]
    """Of the likeliest tokens, by token id; in nats, over the whole vocabulary."""
    reference: float
    """Of the token that was given there."""


def text_scores(
    task_id: str, tokens_sha256: str, rows: Sequence[TokenRow], *, k: int, known: TextScores | None
) -> TextScores:
    """Keep the `k` likeliest tokens of each row, or those of the baseline (`known`) that the engine has listed."""
    if known:
        kept = [_known(row, ids) for row, ids in zip(rows, known.top_ids, strict=True)]
    else:
        kept = [_likeliest(row, k) for row in rows]
    return TextScores(
        task_id=task_id,
        tokens_sha256=tokens_sha256,
        choices=tuple(_likeliest(row, 1)[0] for row in rows),
        top_ids=tuple(map(tuple, kept)),
        top_log_probs=tuple(
            tuple(kept_log_prob(row.log_probs[token]) for token in ids) for row, ids in zip(rows, kept, strict=True)
        ),
        tail_log_probs=tuple(_tail(row, ids) for row, ids in zip(rows, kept, strict=True)),
        reference_log_probs=tuple(kept_log_prob(row.reference) for row in rows),
    )


def _likeliest(row: TokenRow, k: int) -> list[int]:
    """Return the likeliest tokens, without those that are very unlikely; of equals the first of the vocabulary."""
    ordered = sorted(row.log_probs, key=lambda token: (-row.log_probs[token], token))[:k]
    least = row.log_probs[ordered[0]] + math.log(LEAST_RATIO)
    return [token for token in ordered if row.log_probs[token] >= least]


def _known(row: TokenRow, token_ids: Sequence[int]) -> list[int]:
    return [token for token in token_ids if token in row.log_probs]


def _tail(row: TokenRow, kept: Sequence[int]) -> float:
    """Return the log-probability of all tokens but these."""
    rest = 1.0 - math.fsum(math.exp(row.log_probs[token]) for token in kept)
    return kept_log_prob(math.log(max(rest, _LEAST_TAIL)))
