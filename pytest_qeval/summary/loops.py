"""Completions that end by repeating one stretch of text, as a model does that has lost the thread."""

from __future__ import annotations

REPETITIONS = 3
"""How often a stretch follows itself before that is a loop."""
LENGTH = 256
"""Characters that the repetitions have together at least.

Code repeats itself for less: of the canonical solutions of HumanEval and MBPP none ends with more than 8 characters of
threefold repetition, and none of their beginnings, as a token limit cuts them, with more than 200 (blanks that fill a
line). A loop that lasts until the token limit is longer than that.
"""


def find_loop(text: str) -> str:
    """Return the shortest stretch that a text ends by repeating; empty where it ends in no loop.

    A text ends in a loop if its last L characters have a period p, each equal to the one p before it, with
    L ≥ 3·p (`REPETITIONS`) and L ≥ 256 (`LENGTH`). The last repetition may be cut off. Only exact repetitions count, so
    that a counter in every line makes no loop.

    Of the reversed text, the Z-function (Gusfield, 1997) has for every p the number of characters that agree with those
    p places on, in a time that is linear in the length: L is p + Z[p].
    """
    reverse, size = text[::-1], len(text)
    known = [0] * (size // REPETITIONS + 1)
    start = end = 0  # the stretch with the farthest end that is known to equal the beginning
    for period in range(1, size // REPETITIONS + 1):
        equal = min(end - period, known[period - start]) if period < end else 0
        while period + equal < size and reverse[equal] == reverse[period + equal]:
            equal += 1
        known[period] = equal
        if period + equal > end:
            start, end = period, period + equal
        if period + equal >= max(REPETITIONS * period, LENGTH):
            return text[size - period :]
    return ""
