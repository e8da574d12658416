"""What a run can prove, said before it costs anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from pytest_qeval.schema import Case
from pytest_qeval.stats.paired import detectable_drop, problems_needed

__all__ = ["prospects"]

_DISCORDANCE = 0.08
"""Share of problems that flip, as it is typical of int8; nobody knows it before."""


def prospects(cases: Iterable[Case], *, margin: Callable[[str], float]) -> Iterator[str]:
    """Yield one line per benchmark: which drop of pass@1 its problems can prove not to be there.

    Args:
        cases: Everything that candidates are asked.
        margin: The loss that the benchmark's evidence is about, as a fraction.
    """
    for benchmark, count in Counter(case.benchmark for case in set(cases)).items():
        within, wanted = detectable_drop(count, discordance=_DISCORDANCE), margin(benchmark)
        line = f"{benchmark}: {count} problems can prove a drop of {100 * within:.1f} points"
        if within > wanted > 0:
            needed = _rounded(problems_needed(wanted, discordance=_DISCORDANCE))
            line += f"; for {100 * wanted:g} points take about {needed:,}"
        yield f"{line} (80 % power, if {100 * _DISCORDANCE:.0f} % of them flip)"


def _rounded(count: int) -> int:
    """Round to three significant digits: the share of flips is a guess."""
    return round(count, -max(0, len(str(count)) - 3))
