"""What can still come out of a run that is not finished, so that it may stop when nothing can change any more.

Everything is worked out from rates: the share of a case's samples that passed, 0 to 1, which is 0 or 1 with one sample.
The baseline's rates are known for every case; the candidate's of the remaining ones may be anything from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pytest_qeval.verdict.gates.grammar import Gate

__all__ = [
    "Range",
    "range_of_drop",
    "range_of_regressed",
    "range_of_relative_drop",
    "range_of_value",
    "settled",
]


class Range(NamedTuple):
    """The lowest and the highest value that can still come out, both included."""

    low: float
    high: float


def range_of_value(done: Sequence[float], remaining: int) -> Range:
    """Bound the mean of the candidate's rates.

    Args:
        done: The candidate's rates of finished cases.
        remaining: Number of cases that are not finished.

    Returns:
        (Σ done + 0 … remaining) / n; 0 to 1 where there is no case at all.
    """
    n, total = len(done) + remaining, sum(done)
    return Range(total / n, (total + remaining) / n) if n else Range(0.0, 1.0)


def range_of_drop(done: Sequence[tuple[float, float]], remaining_baseline: Sequence[float]) -> Range:
    """Bound the baseline's mean rate minus the candidate's.

    Args:
        done: (baseline, candidate) of finished cases.
        remaining_baseline: The baseline's rates of cases that the candidate has not finished.

    Returns:
        Mean of the baseline minus `range_of_value`; −1 to 1 where there is no case at all.
    """
    baseline = [base for base, _ in done] + list(remaining_baseline)
    if not baseline:
        return Range(-1.0, 1.0)
    own = range_of_value([own for _, own in done], len(remaining_baseline))
    mean = sum(baseline) / len(baseline)
    return Range(mean - own.high, mean - own.low)


def range_of_relative_drop(done: Sequence[tuple[float, float]], remaining_baseline: Sequence[float]) -> Range | None:
    """Bound 1 − candidate / baseline; None where the baseline solved nothing, of which no share can be lost."""
    mean = sum(base for base, _ in done) + sum(remaining_baseline)
    if mean == 0:
        return None
    drop = range_of_drop(done, remaining_baseline)
    mean /= len(done) + len(remaining_baseline)
    return Range(drop.low / mean, drop.high / mean)


def range_of_regressed(done: Sequence[tuple[float, float]], remaining_baseline: Sequence[float]) -> Range:
    """Bound the number of cases that the baseline solved, with any of its samples, and the candidate with none."""
    lost = sum(base > 0 and own == 0 for base, own in done)
    return Range(lost, lost + sum(base > 0 for base in remaining_baseline))


def settled(
    gate: Gate,
    *,
    done: Sequence[tuple[float, float]],
    remaining_baseline: Sequence[float],
    require_proof: bool = False,
) -> Literal["pass", "fail"] | None:
    """Tell how a gate will end whatever the remaining cases bring, or None while that is open.

    What holds a promise is everything on one side of a threshold: if both ends of a range are on the same side, all of
    it is. A promise that has to be proven can be broken early but not kept: its interval depends on every case. Costs
    are open to the end, and so is pass@k with k > 1, which is no mean of rates; a divergence is known before the first
    case and is not judged here (`Gate.needs_cases` tells). Nothing is settled before the candidate answered anything.

    Args:
        gate: What was promised.
        done: (baseline, candidate) of finished cases; without a baseline any number stands in its place.
        remaining_baseline: The baseline's rates of all other cases; likewise.
        require_proof: What the session wants of gates that do not say it.
    """
    reach = _reach(gate, done, remaining_baseline)
    if reach is None or not done:
        return None
    ends = {gate.holds(reach.low), gate.holds(reach.high)}
    if ends == {False}:
        return "fail"
    proof = require_proof if gate.require_proof is None else gate.require_proof
    return "pass" if ends == {True} and not proof else None


def _reach(gate: Gate, done: Sequence[tuple[float, float]], remaining_baseline: Sequence[float]) -> Range | None:
    match gate.metric, gate.k, gate.form:
        case "pass@K", 1, "value":
            return range_of_value([own for _, own in done], len(remaining_baseline))
        case "pass@K", 1, "drop":
            return range_of_drop(done, remaining_baseline)
        case "pass@K", 1, "relative_drop":
            return range_of_relative_drop(done, remaining_baseline)
        case "regressed", _, _:
            return range_of_regressed(done, remaining_baseline)
        case _:
            return None
