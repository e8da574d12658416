"""Bounds on what an unfinished run can still observe, so that it may stop when nothing can change any more.

A rate is the share of a case's samples that passed, 0 to 1. The baseline's rates are known for every case; the
candidate's of the remaining cases may be anything from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pytest_qeval.verdict.gates.grammar import Gate

__all__ = ["Bounds", "CaseRates", "drop_bounds", "regressed_bounds", "relative_drop_bounds", "settled", "value_bounds"]


class Bounds(NamedTuple):
    """The lowest and the highest value that can still be observed, both included."""

    low: float
    high: float


class CaseRates(NamedTuple):
    """Rates of one case that both recipes have finished; without a baseline any number stands in its place."""

    baseline: float
    candidate: float


def value_bounds(done: Sequence[float], remaining: int) -> Bounds:
    """Bound the mean of the candidate's rates: (Σ done + 0 … remaining) / n; 0 to 1 where there is no case at all."""
    n, total = len(done) + remaining, sum(done)
    return Bounds(total / n, (total + remaining) / n) if n else Bounds(0.0, 1.0)


def drop_bounds(done: Sequence[CaseRates], remaining_baseline: Sequence[float]) -> Bounds:
    """Bound the baseline's mean rate minus the candidate's; −1 to 1 where there is no case at all."""
    baseline = [*(rates.baseline for rates in done), *remaining_baseline]
    if not baseline:
        return Bounds(-1.0, 1.0)
    candidate = value_bounds([rates.candidate for rates in done], len(remaining_baseline))
    mean = sum(baseline) / len(baseline)
    return Bounds(mean - candidate.high, mean - candidate.low)


def relative_drop_bounds(done: Sequence[CaseRates], remaining_baseline: Sequence[float]) -> Bounds | None:
    """Bound 1 − candidate / baseline; None where the baseline solved nothing, of which no share can be lost."""
    mean = sum(rates.baseline for rates in done) + sum(remaining_baseline)
    if mean == 0:
        return None
    drop = drop_bounds(done, remaining_baseline)
    mean /= len(done) + len(remaining_baseline)
    return Bounds(drop.low / mean, drop.high / mean)


def regressed_bounds(done: Sequence[CaseRates], remaining_baseline: Sequence[float]) -> Bounds:
    """Bound the number of cases that the baseline solved, with any of its samples, and the candidate with none."""
    lost = sum(rates.baseline > 0 and rates.candidate == 0 for rates in done)
    return Bounds(lost, lost + sum(rate > 0 for rate in remaining_baseline))


def settled(
    gate: Gate, *, done: Sequence[CaseRates], remaining_baseline: Sequence[float], require_proof: bool
) -> Literal["pass", "fail"] | None:
    """Return how a gate will end whatever the remaining cases bring, or None while that is open.

    A gate that holds at both bounds holds between them. One that has to be proven can fail early but not pass, since
    its interval depends on every case. Costs are open to the end, and so is pass@k with k > 1, which is no mean of
    rates. Nothing is settled before the candidate has finished a case.

    Args:
        gate: The gate.
        done: Rates of finished cases.
        remaining_baseline: The baseline's rates of all other cases; without a baseline any numbers.
        require_proof: Whether gates that do not set it themselves have to be proven.
    """
    bounds = _bounds(gate, done, remaining_baseline)
    if bounds is None or not done:
        return None
    outcomes = {gate.holds(bounds.low), gate.holds(bounds.high)}
    if outcomes == {False}:
        return "fail"
    proof = require_proof if gate.require_proof is None else gate.require_proof
    return "pass" if outcomes == {True} and not proof else None


def _bounds(gate: Gate, done: Sequence[CaseRates], remaining_baseline: Sequence[float]) -> Bounds | None:
    match gate.metric, gate.k, gate.form:
        case "pass@K", 1, "value":
            return value_bounds([rates.candidate for rates in done], len(remaining_baseline))
        case "pass@K", 1, "drop":
            return drop_bounds(done, remaining_baseline)
        case "pass@K", 1, "relative_drop":
            return relative_drop_bounds(done, remaining_baseline)
        case "regressed", _, _:
            return regressed_bounds(done, remaining_baseline)
        case _:
            return None
