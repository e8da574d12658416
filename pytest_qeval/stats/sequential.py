"""Evidence during a run, so that the run can stop as soon as enough is proven.

Testing again and again until something is significant would find it sooner or later. So there are few looks, fixed
before the run, and the early ones together err no more often than the last one: at a confidence of 95 %, each direction
is claimed wrongly in at most 2.5 % of runs at the end and 2.5 % before (Bonferroni's bound over the looks, which holds
however they depend on each other). Problems have to be evaluated in random order.
"""

from __future__ import annotations

from math import ceil

from pytest_qeval.schema import Evidence
from pytest_qeval.stats.intervals import CONFIDENCE
from pytest_qeval.stats.paired import PairedCounts, difference, evidence_of

N_LOOKS = 8
"""Looks at equal distances; the last one is the end of the run."""
MIN_DONE = 10
"""Problems before the first early look: with fewer, the limits are too inexact."""


def is_look(done: int, planned: int) -> bool:
    """Return whether there is a look when `done` of `planned` problems have both outcomes.

    >>> [done for done in range(165) if is_look(done, 164)]
    [21, 41, 62, 82, 103, 123, 144, 164]
    """
    if done == planned:
        return True
    return done >= MIN_DONE and any(done == ceil(look * planned / N_LOOKS) for look in range(1, N_LOOKS))


def look_confidence(done: int, planned: int) -> float:
    """Return the confidence of a look's interval: the early looks share the error rate of the last one."""
    return CONFIDENCE if done == planned else 1 - (1 - CONFIDENCE) / (N_LOOKS - 1)


def sequential_evidence(counts: PairedCounts, *, planned: int, margin: float) -> Evidence:
    """Return what the problems done so far prove about candidate − baseline; "unproven" between looks.

    Call this after every problem, so that no look is skipped; a skipped one costs power, not validity.

    Raises:
        ValueError: If more problems are done than planned; the error rate holds for looks planned beforehand.
    """
    done = counts.n
    if done > planned:
        raise ValueError(f"{done} problems are done, but only {planned} were planned")
    if not is_look(done, planned):
        return "unproven"
    delta = difference(counts, confidence=look_confidence(done, planned))
    return evidence_of(delta, margin=margin)
