"""All executed benchmarks of a run together: a small loss takes more problems than one benchmark has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import fsum

from pytest_qeval.schema import Case, Evidence, Json, Quantity, Record
from pytest_qeval.stats.clusters import cluster_sums
from pytest_qeval.stats.intervals import mean_of_problems
from pytest_qeval.stats.paired import evidence_of, paired_mean, relative_drop_of_means
from pytest_qeval.stats.passk import pass_at_k
from pytest_qeval.stats.scores import sign_flip_p
from pytest_qeval.summary.cases import Groups, Records, pair_records, pairs_of_groups
from pytest_qeval.summary.clusters import Clusters
from pytest_qeval.summary.margins import Margins

POOL = "all"
"""Stands in gates and reports for all executed benchmarks together; no benchmark is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """One benchmark's part of a pool."""

    benchmark: str
    problems: int
    """Problems that count here."""
    counted_elsewhere: int
    """Problems that another benchmark of the run judges as strictly, where they count."""
    counted_in: tuple[str, ...]
    """These other benchmarks."""
    baseline_solved: int
    """Those of them that the baseline solved, by any sample."""
    weight: float
    """Share of the pool's problems, 0 to 1."""
    delta: Quantity
    """Candidate minus baseline pass@1 over these problems, as a fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledComparison:
    """A candidate against the baseline over all executed benchmarks; every problem counts once and weighs the same."""

    recipe: str
    baseline: str
    pass_at_1: Mapping[str, Quantity]
    """Of baseline and candidate, by recipe."""
    delta: Quantity
    """Candidate minus baseline pass@1, as a fraction."""
    relative_drop: Quantity
    """Lost share of the baseline's pass@1, as a fraction."""
    regressed: int
    """Problems that the baseline solved and the candidate did not, by any sample."""
    fixed: int
    p: float
    """Two-sided, of a mean difference of 0, by a sign-flip test of clusters."""
    p_adjusted: float
    """Benjamini-Hochberg over the pools of all candidates. Benchmarks, whose problems these are, are corrected among
    themselves."""
    evidence: Evidence
    margin: float
    """The loss of pass@1 that the evidence is about, as a fraction."""
    strata: tuple[Stratum, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    cluster: str
    base: Record
    own: Record

    def rates(self) -> tuple[float, float]:
        """Return pass@1 of baseline and candidate."""
        base, own = (pass_at_k(len(one.samples), one.n_solved, 1) for one in (self.base, self.own))
        return base, own


def pool(
    groups: Groups,
    records: Records,
    *,
    baseline: str | None,
    margins: Margins,
    clusters: Clusters,
    benchmarks: Mapping[str, Json],
) -> tuple[PooledComparison, ...]:
    """Compare every recipe with the baseline over all benchmarks that both ran."""
    covers = {name: tuple(facts.get("covers", ())) for name, facts in benchmarks.items()}
    found: dict[tuple[str, str], dict[str, list[_Pair]]] = {}
    for benchmark, recipe, base_name, cases in pairs_of_groups(groups, baseline):
        pairs = pair_records(cases, records, baseline=base_name, recipe=recipe)
        mine = [_Pair(clusters(own.case), base, own) for base, own in pairs]
        found.setdefault((recipe, base_name), {})[benchmark] = mine
    return tuple(
        _pooled(recipe, base_name, strata, covers, margin=margins("pass@K", recipe, POOL))
        for (recipe, base_name), strata in found.items()
    )


def counted_once(cases: Collection[Case], *, clusters: Clusters, covers: Mapping[str, Sequence[str]]) -> set[Case]:
    """Return the cases of a pool without those that another of its benchmarks judges as strictly."""
    by_benchmark: dict[str, set[str]] = {}
    for case in cases:
        by_benchmark.setdefault(case.benchmark, set()).add(clusters(case))
    covering = _covering(by_benchmark, covers)
    hidden = {name: set().union(*found.values()) for name, found in covering.items()}
    return {case for case in cases if clusters(case) not in hidden[case.benchmark]}


def _covering(
    problems: Mapping[str, AbstractSet[str]], covers: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, AbstractSet[str]]]:
    """Return for each benchmark the clusters that count elsewhere, by the benchmark where they do."""
    order = list(problems)

    def counts_in(name: str, other: str) -> bool:
        mutual = other in covers.get(name, ())  # then the first one counts
        return name in covers.get(other, ()) and (not mutual or order.index(other) < order.index(name))

    return {name: {other: problems[other] for other in order if counts_in(name, other)} for name in order}


def _pooled(
    recipe: str,
    baseline: str,
    strata: Mapping[str, Sequence[_Pair]],
    covers: Mapping[str, Sequence[str]],
    *,
    margin: float,
) -> PooledComparison:
    problems = {name: {pair.cluster for pair in pairs} for name, pairs in strata.items()}
    covering = _covering(problems, covers)
    elsewhere = {
        name: tuple(other for other, found in covering[name].items() if found & problems[name]) for name in strata
    }
    hidden = {name: set().union(*found.values()) for name, found in covering.items()}
    counting = {name: [pair for pair in pairs if pair.cluster not in hidden[name]] for name, pairs in strata.items()}
    pairs = [pair for found in counting.values() for pair in found]
    base, own, names = _columns(pairs)
    delta = paired_mean(base, own, names)
    differences = cluster_sums([after - before for before, after in zip(base, own, strict=True)], names)
    p = sign_flip_p(differences)
    return PooledComparison(
        recipe=recipe,
        baseline=baseline,
        pass_at_1={baseline: mean_of_problems(base, names), recipe: mean_of_problems(own, names)},
        delta=delta,
        relative_drop=relative_drop_of_means(base, own, names),
        regressed=sum(pair.base.n_solved > 0 and not pair.own.n_solved for pair in pairs),
        fixed=sum(pair.own.n_solved > 0 and not pair.base.n_solved for pair in pairs),
        p=p,
        p_adjusted=p,
        evidence=evidence_of(delta, margin=margin),
        margin=margin,
        strata=tuple(_strata(strata, counting, elsewhere)),
    )


def _strata(
    all_pairs: Mapping[str, Sequence[_Pair]],
    counting: Mapping[str, Sequence[_Pair]],
    elsewhere: Mapping[str, tuple[str, ...]],
) -> Iterator[Stratum]:
    total = fsum(map(len, counting.values()))
    for name, pairs in counting.items():
        yield Stratum(
            benchmark=name,
            problems=len(pairs),
            counted_elsewhere=len(all_pairs[name]) - len(pairs),
            counted_in=elsewhere[name],
            baseline_solved=sum(pair.base.n_solved > 0 for pair in pairs),
            weight=len(pairs) / total if total else 0.0,
            delta=paired_mean(*_columns(pairs)),
        )


def _columns(pairs: Sequence[_Pair]) -> tuple[list[float], list[float], list[str]]:
    """Return pass@1 of the baseline, of the candidate, and the clusters, one each per problem."""
    rates = [pair.rates() for pair in pairs]
    return [base for base, _ in rates], [own for _, own in rates], [pair.cluster for pair in pairs]
