"""What a run can prove, as lines before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_qeval.errors import counted
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.summary.power import POWER, TYPICAL_DISCORDANCE, Prospect


def prospect_lines(prospects: Iterable[Prospect]) -> Iterator[str]:
    """Yield one line per benchmark, or for all together: the drop of pass@1 that its problems can rule out."""
    for one in prospects:
        problems = counted(one.problems, "problem")
        name = "all benchmarks together" if one.benchmark == POOL else one.benchmark
        line = f"{name}: {problems} can rule out a drop of more than {100 * one.detectable:.1f} points"
        if one.needed is not None:
            line += f"; for {100 * one.margin:g} points take about {_round(one.needed):,}"
        flips = f"{100 * TYPICAL_DISCORDANCE:.0f} % of them flip"
        if one.sources < one.problems:
            sources = counted(one.sources, "source")
            flips += f"; they come from {sources} and count as about {one.independent:,} independent ones"
        yield f"{line} (in {100 * POWER:.0f} % of runs, if nothing is lost and {flips})"


def _round(count: int) -> int:
    """Round to three significant digits: the share of flips is a guess."""
    return round(count, -max(0, len(str(count)) - 3))
