"""How many sequences are decoded together when nobody says."""

from __future__ import annotations

_ROWS = 128
"""A step's fixed cost, reading the weights, equals that of about 90 rows on 2 cores (Qwen2.5-0.5B, bf16). Replayed with
these costs, 64 rows decode HumanEval in 72 CPU seconds, 128 in 61, all 164 in 61."""
_ROW_TOKENS = 1024
"""Tokens that a row is expected to need at most; chooses the batch's width by memory."""
_RECURRENT_ROWS = 8
"""For models without attention, which have no key/value cache to plan for; transformers' scan over a prompt needs
memory for the state of every token."""
_CACHE_SHARE = 0.5
"""Share of the free memory that is planned for the key/value cache."""


def default_rows(*, token_bytes: int, free_bytes: int) -> int:
    """Choose the batch's width: as wide as pays off, unless the cache would not fit.

    Args:
        token_bytes: Of keys and values of one token; 0 for a recurrent model.
        free_bytes: What is left beside the model.
    """
    if not token_bytes:
        return _RECURRENT_ROWS
    return max(1, min(_ROWS, int(_CACHE_SHARE * free_bytes / (token_bytes * _ROW_TOKENS))))
