"""What the evaluation itself achieved: problems and tokens over its wall time, and what the time went into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_qeval.facts import TimelineFacts
from pytest_qeval.schema import Record

OTHER = "other"
"""Time of no phase: collecting, reporting, pytest itself, and a worker that has nothing left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """A whole run; all rates are over its wall time, loading included."""

    wall_s: float
    cases: int
    """Evaluated in this run: records of a saved baseline do not count."""
    cases_per_min: float
    new_tokens: int
    tokens_per_s: float
    shares: Mapping[str, float]
    """Parts of the wall time by phase, `other` for the rest; of several workers the mean. They add up to 1."""
    programs_s: float
    """Time of executing programs, in all sandboxes together; most of it passes while others are generated."""
    timelines: tuple[TimelineFacts, ...]
    """One for each process."""


def summarize_throughput(
    timelines: Sequence[TimelineFacts], records: Sequence[Record], *, wall_s: float
) -> Throughput | None:
    """Combine what the processes of a run did; None where none of them evaluated anything."""
    if not timelines or wall_s <= 0:
        return None
    cases = sum(one.cases for one in timelines)
    tokens = sum(sum(one.new_tokens) for one in timelines)
    spent = [(name, sum(seconds)) for one in timelines for name, seconds in one.phases.items()]
    whole_s = max(wall_s * len(timelines), sum(seconds for _, seconds in spent))
    shares = {name: 0.0 for name, _ in spent}
    for name, seconds in spent:
        shares[name] += seconds / whole_s
    return Throughput(
        wall_s=wall_s,
        cases=cases,
        cases_per_min=60 * cases / wall_s,
        new_tokens=tokens,
        tokens_per_s=tokens / wall_s,
        shares={**shares, OTHER: max(0.0, 1.0 - sum(shares.values()))},
        programs_s=sum(sample.execution.duration_s for record in records for sample in record.samples),
        timelines=tuple(timelines),
    )
