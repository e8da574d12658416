"""What a run can prove, estimated before anything is generated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from pytest_qeval.schema import Case
from pytest_qeval.stats.clusters import typical_size
from pytest_qeval.stats.power import detectable_drop, problems_needed
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.pooled import POOL

TYPICAL_DISCORDANCE = 0.08
"""Share of problems that flip, typical of int8; it is not known before the run."""
SHARED_FATE = 0.5
"""Correlation of flips among problems that share a source; not known before the run either."""
POWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """The drop of pass@1 that a benchmark's problems can rule out."""

    benchmark: str
    """`POOL` for all of them together."""
    problems: int
    sources: int
    """Problems that share nothing, and groups of those that share a source."""
    detectable: float
    """The smallest drop, as a fraction."""
    margin: float
    """The loss that the benchmark's evidence is about, as a fraction."""
    needed: int | None
    """Problems that prove the margin, of sources as large as these; None if there are enough, or if no number is."""


def estimate_prospects(
    cases: Iterable[Case], *, margin: Callable[[str], float], clusters: Clusters = each_alone
) -> Iterator[Prospect]:
    """Yield one estimate per benchmark; `margin` is the loss that its evidence is about, as a fraction.

    Where problems share a source, their flips are taken to be correlated by `SHARED_FATE`, and to prove as much as
    n / (1 + `SHARED_FATE` · (size − 1)) that stand alone, for sources of the typical size (Kish, 1965, section 8.2).
    """
    by_benchmark: dict[str, list[Case]] = {}
    for case in dict.fromkeys(cases):
        by_benchmark.setdefault(case.benchmark, []).append(case)
    for benchmark, found in by_benchmark.items():
        yield _prospect(benchmark, found, margin(benchmark), clusters)


def estimate_pool(cases: Collection[Case], *, margin: float, clusters: Clusters = each_alone) -> Iterator[Prospect]:
    """Yield an estimate for the problems of several benchmarks together, each of which counts once."""
    if len({case.benchmark for case in cases}) > 1:
        yield _prospect(POOL, cases, margin, clusters)


def _prospect(benchmark: str, cases: Collection[Case], margin: float, clusters: Clusters) -> Prospect:
    sources = [clusters(case) for case in cases]
    design_effect = 1 + SHARED_FATE * (typical_size(sources) - 1)
    independent = max(round(len(cases) / design_effect), 1)
    within = detectable_drop(independent, discordance=TYPICAL_DISCORDANCE, power=POWER)
    needed = problems_needed(margin, discordance=TYPICAL_DISCORDANCE, power=POWER) if within > margin > 0 else None
    return Prospect(
        benchmark=benchmark,
        problems=len(cases),
        sources=len(set(sources)),
        detectable=within,
        margin=margin,
        needed=None if needed is None else round(needed * design_effect),
    )
