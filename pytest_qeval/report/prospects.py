"""What a run can prove, as lines before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_qeval.errors import counted
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.summary.power import POWER, TYPICAL_DISCORDANCE, Prospect

_ASSUMPTIONS = (
    f"(in {100 * POWER:.0f} % of runs, if nothing is lost and {100 * TYPICAL_DISCORDANCE:.0f} % of the problems flip)"
)


def prospect_lines(prospects: Iterable[Prospect]) -> Iterator[str]:
    """Yield one line per benchmark, or for all together, and what they assume: the drop that its problems rule out."""
    lines = [_line(one) for one in prospects]
    yield from lines
    if lines:
        yield _ASSUMPTIONS


def _line(one: Prospect) -> str:
    name = "all benchmarks together" if one.benchmark == POOL else one.benchmark
    problems = counted(one.problems, "problem")
    if one.sources < one.problems:
        problems += f" from {counted(one.sources, 'source')}"
    line = f"{name}: {problems} can rule out a drop of more than {100 * one.detectable:.1f} points"
    return line if one.needed is None else f"{line}; {100 * one.margin:g} points take about {_round(one.needed):,}"


def _round(count: int) -> int:
    """Round to three significant digits: the share of flips is a guess."""
    return round(count, -max(0, len(str(count)) - 3))
