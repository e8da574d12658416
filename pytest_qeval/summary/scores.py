"""Completions that are scored: each recipe's means, and differences from the baseline case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from pytest_qeval.schema import SCORES, Case, Evidence, Json, Quantity
from pytest_qeval.stats.clusters import cluster_sums, stand_alone
from pytest_qeval.stats.paired import evidence_of, paired_mean, relative_drop_of_means
from pytest_qeval.stats.scores import detectable_score_drop, mean_score, sign_flip_p
from pytest_qeval.summary.cases import Groups, Records, pair_records, pairs_of_groups
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.margins import Margins

_EMPTY_SHA256 = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreResult:
    """One recipe on one benchmark whose completions are scored."""

    benchmark: str
    recipe: str
    cases: Mapping[str, Mapping[str, float]]
    """By label, in the plan's order: the scores, 0 to 1, each the mean over the case's samples."""
    empty: int
    """Cases whose samples are all empty."""
    missing: int
    """Planned cases without a record."""
    means: Mapping[str, Quantity]
    """By score: the mean over cases, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreChange:
    """One score of a candidate against the baseline's, over the cases that both finished."""

    delta: Quantity
    """Mean of candidate minus baseline, as a fraction."""
    relative_drop: Quantity
    """Lost share of the baseline's mean, as a fraction."""
    higher: int
    """Cases that the candidate scored higher on."""
    lower: int
    p: float
    """Two-sided, of a mean difference of 0, by a sign-flip test."""
    p_adjusted: float
    """Benjamini-Hochberg over all candidates, benchmarks and scores of the run."""
    evidence: Evidence
    margin: float
    """The loss that the evidence is about, as a fraction."""
    detectable_drop: float | None
    """The smallest loss that as many cases, moving as far as they did, can rule out; None where they share a source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreComparison:
    """A candidate against the baseline on one benchmark whose completions are scored."""

    benchmark: str
    recipe: str
    baseline: str
    changes: Mapping[str, ScoreChange]
    """By score."""


def is_scored(benchmark: str, benchmarks: Mapping[str, Json], records: Records) -> bool:
    """Return whether a benchmark's completions are scored, by its own facts or by any of its records."""
    if benchmarks.get(benchmark, {}).get("scored", False):
        return True
    return any(case.benchmark == benchmark and one.outcome == "scored" for (_, case), one in records.items())


def score_results(groups: Groups, records: Records, *, clusters: Clusters = each_alone) -> tuple[ScoreResult, ...]:
    """Summarize every benchmark and recipe."""
    return tuple(_result(benchmark, recipe, cases, records, clusters) for (benchmark, recipe), cases in groups.items())


def _result(benchmark: str, recipe: str, cases: Sequence[Case], records: Records, clusters: Clusters) -> ScoreResult:
    found = [records[recipe, case] for case in cases if (recipe, case) in records]
    names = [clusters(record.case) for record in found]
    return ScoreResult(
        benchmark=benchmark,
        recipe=recipe,
        cases={record.case.label: {name: record.measurements[name] for name in SCORES} for record in found},
        empty=sum(all(sample.program_sha256 == _EMPTY_SHA256 for sample in record.samples) for record in found),
        missing=len(cases) - len(found),
        means={name: mean_score([record.measurements[name] for record in found], names) for name in SCORES},
    )


def compare_scores(
    groups: Groups, records: Records, *, baseline: str | None, margins: Margins, clusters: Clusters = each_alone
) -> tuple[ScoreComparison, ...]:
    """Compare every recipe with the baseline on every benchmark that both ran; p-values are not adjusted yet."""
    comparisons = []
    for benchmark, recipe, base_name, cases in pairs_of_groups(groups, baseline):
        pairs = list(pair_records(cases, records, baseline=base_name, recipe=recipe))
        names = [clusters(own.case) for _, own in pairs]
        changes = {}
        for name in SCORES:
            base, own = ([pair[at].measurements[name] for pair in pairs] for at in (0, 1))
            changes[name] = _change(base, own, names, margin=margins(name, recipe, benchmark))
        comparisons.append(ScoreComparison(benchmark=benchmark, recipe=recipe, baseline=base_name, changes=changes))
    return tuple(comparisons)


def _change(
    baseline: Sequence[float], candidate: Sequence[float], clusters: Sequence[str], *, margin: float
) -> ScoreChange:
    delta = paired_mean(baseline, candidate, clusters)
    differences = [own - base for base, own in zip(baseline, candidate, strict=True)]
    p = sign_flip_p(cluster_sums(differences, clusters))
    return ScoreChange(
        delta=delta,
        relative_drop=relative_drop_of_means(baseline, candidate, clusters, verb="scored"),
        higher=sum(difference > 0 for difference in differences),
        lower=sum(difference < 0 for difference in differences),
        p=p,
        p_adjusted=p,
        evidence=evidence_of(delta, margin=margin),
        margin=margin,
        detectable_drop=detectable_score_drop(differences) if stand_alone(clusters) else None,
    )
