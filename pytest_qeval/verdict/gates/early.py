"""Tell how a gate of an unfinished run will end, so that the run may stop when nothing can change any more.

A rate is the share of a case's samples that passed, 0 to 1. The baseline's rates are known for every case; the
candidate's of the remaining cases may be anything from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pytest_qeval.verdict.gates.grammar import Gate


class CaseRates(NamedTuple):
    """Rates of one case; without a baseline any number stands in its place."""

    baseline: float
    candidate: float


def settled(
    gate: Gate, *, done: Sequence[CaseRates], remaining_baseline: Sequence[float], require_proof: bool
) -> Literal["pass", "fail"] | None:
    """Return how a gate will end whatever the remaining cases bring, or None while that is open.

    A gate that holds at both bounds holds between them. One that has to be proven can fail early but not pass, since
    its interval depends on every case. Nothing is settled before the candidate has finished a case.
    """
    ends = bounds(gate, done, remaining_baseline) if done else None
    if ends is None:
        return None
    outcomes = set(map(gate.holds, ends))
    if outcomes == {False}:
        return "fail"
    return "pass" if outcomes == {True} and not gate.needs_proof(default=require_proof) else None


def bounds(gate: Gate, done: Sequence[CaseRates], remaining_baseline: Sequence[float]) -> tuple[float, float] | None:
    """Return the two values that a gate observes if the candidate fails, or solves, all remaining cases.

    Every other outcome lies between them. None for costs, and for pass@k with k > 1, which is no mean of rates; also
    for a comparison with a baseline that solved nothing.
    """
    failed, solved = (
        _observe(gate, [*done, *(CaseRates(baseline, candidate) for baseline in remaining_baseline)])
        for candidate in (0.0, 1.0)
    )
    return None if failed is None or solved is None else (failed, solved)


def _observe(gate: Gate, rates: Sequence[CaseRates]) -> float | None:
    baseline = sum(case.baseline for case in rates) / len(rates)
    candidate = sum(case.candidate for case in rates) / len(rates)
    if gate.compares and not baseline:
        return None
    match gate.metric, gate.k, gate.form:
        case "regressed", _, _:
            return sum(case.baseline > 0 and case.candidate == 0 for case in rates)
        case "pass@K", 1, "value":
            return candidate
        case "pass@K", 1, "drop":
            return baseline - candidate
        case "pass@K", 1, "relative_drop":
            return (baseline - candidate) / baseline
        case _:
            return None
