"""What each recipe solved on each benchmark whose completions are executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_qeval.schema import Case, Quantity, Record
from pytest_qeval.stats.clusters import stand_alone
from pytest_qeval.stats.intervals import mean_of_problems, proportion
from pytest_qeval.stats.passk import KS, pass_at_k
from pytest_qeval.summary.cases import Groups, Records
from pytest_qeval.summary.clusters import Clusters, each_alone


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """One recipe on one benchmark."""

    benchmark: str
    recipe: str
    solved: tuple[str, ...]
    """Labels of the cases with at least one passing sample, in the plan's order."""
    unsolved: tuple[str, ...]
    missing: int
    """Planned cases without an outcome: a lost worker, a harness fault, an interruption, those that are unsupported."""
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """Those of the missing cases that the harness could not judge, by label with the reason."""
    pass_at: Mapping[int, Quantity]
    """pass@k by k, as far as there are samples."""
    failures: Mapping[str, int]
    """Number of unsolved cases by the status of their first sample."""

    @property
    def received(self) -> int:
        """Number of cases with a record."""
        return len(self.solved) + len(self.unsolved)


def benchmark_results(
    groups: Groups, records: Records, *, clusters: Clusters = each_alone
) -> tuple[BenchmarkResult, ...]:
    """Summarize every benchmark and recipe."""
    return tuple(_result(benchmark, recipe, cases, records, clusters) for (benchmark, recipe), cases in groups.items())


def _result(
    benchmark: str, recipe: str, cases: Sequence[Case], records: Records, clusters: Clusters
) -> BenchmarkResult:
    finished = [records[recipe, case] for case in cases if (recipe, case) in records]
    found = [record for record in finished if record.outcome != "unsupported"]
    unsolved = [record for record in found if record.outcome == "unsolved"]
    return BenchmarkResult(
        benchmark=benchmark,
        recipe=recipe,
        solved=tuple(record.case.label for record in found if record.outcome == "solved"),
        unsolved=tuple(record.case.label for record in unsolved),
        missing=len(cases) - len(found),
        unsupported={record.case.label: record.reason for record in finished if record.outcome == "unsupported"},
        pass_at=_pass_at(found, [clusters(record.case) for record in found]),
        failures=dict(Counter(str(record.samples[0].execution.status) for record in unsolved).most_common()),
    )


def _pass_at(records: Sequence[Record], clusters: Sequence[str]) -> Mapping[int, Quantity]:
    fewest = min((len(record.samples) for record in records), default=1)
    if all(len(record.samples) == 1 for record in records) and stand_alone(clusters):
        return {1: proportion(sum(record.n_solved for record in records), len(records))}
    return {
        k: mean_of_problems([pass_at_k(len(record.samples), record.n_solved, k) for record in records], clusters)
        for k in KS
        if k <= fewest
    }
