"""What it costs to compare several candidates and pick one: the chance that any of them is wrongly called not worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.stats.intervals import CONFIDENCE
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.robustness import ALL

_ERROR = (1 - CONFIDENCE) / 2
"""Nominal chance that one interval proves a margin that is exceeded."""
_SEQUENTIAL_ERROR = 1 - CONFIDENCE
"""The same of a sequential test, which shares it between the last look and the earlier ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Comparisons that may each prove a candidate not worse, and how often any of them does so wrongly."""

    comparisons: int
    """One for each candidate, benchmark and measure; with a primary gate only those that it judges."""
    chance: float
    """Upper bound of the chance that at least one proves a margin that is exceeded (Bonferroni), at most 1."""
    primary: tuple[str, ...]
    """Primary gates that were judged, as expression, recipe and benchmark; empty where none was declared."""


def selection_of(summary: Summary, gates: Sequence[GateResult]) -> Selection | None:
    """Return what the choice among several candidates costs; None where there is none, or nothing to compare with."""
    primary = [gate for gate in gates if gate.primary]
    judged = [(gate.recipe, gate.benchmark or "") for gate in primary] or _compared(summary)
    if len({recipe for recipe, _ in _compared(summary)}) < 2:  # noqa: PLR2004 - a choice is among two
        return None
    errors = [_SEQUENTIAL_ERROR if subject in summary.decided else _ERROR for subject in judged]
    return Selection(
        comparisons=len(judged),
        chance=min(sum(errors), 1.0),
        primary=tuple(f"{one.expression} ({one.recipe}, {one.benchmark})" for one in primary),
    )


def _compared(summary: Summary) -> list[tuple[str, str]]:
    """Return recipe and benchmark of every comparison of a candidate, once for each measure."""
    found = [(one.recipe, one.benchmark) for one in summary.comparisons]
    found += [(one.recipe, one.benchmark) for one in summary.score_comparisons for _ in one.changes]
    found += [(one.recipe, one.benchmark) for one in summary.robust_changes if one.scope == ALL]
    found += [(one.recipe, POOL) for one in summary.pooled if len(one.strata) > 1]
    return [subject for subject in found if subject[0] in summary.candidates]
