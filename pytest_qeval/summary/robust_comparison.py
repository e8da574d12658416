"""A candidate's losses to perturbation beside the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_qeval.schema import Evidence, Quantity
from pytest_qeval.stats.clusters import cluster_sums, stand_alone
from pytest_qeval.stats.intervals import negate
from pytest_qeval.stats.paired import PairedCounts, evidence_of, mcnemar_p, paired_mean
from pytest_qeval.stats.robustness import ProblemRobustness, drop_increase
from pytest_qeval.stats.scores import sign_flip_p
from pytest_qeval.summary.cases import Groups, Records, pairs_of_groups
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.margins import Margins
from pytest_qeval.summary.robust_examples import BrokenExample, broken_examples
from pytest_qeval.summary.robustness import ALL, Facts, clusters_of_tasks, perturbed_tasks, scopes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustChange:
    """A candidate against the baseline under one scope, over the problems that both finished."""

    benchmark: str
    recipe: str
    baseline: str
    scope: str
    drop_increase: Quantity
    """Candidate minus baseline robust drop@1, as a fraction."""
    robust_pass_delta: Quantity
    """Candidate minus baseline robust pass@1, as a fraction."""
    broken: tuple[str, ...]
    """Task ids that both solve nominally, and of the perturbed forms only the baseline solves all."""
    mended: tuple[str, ...]
    """Task ids that both solve nominally, and of the perturbed forms only the candidate solves all."""
    mcnemar_p: float
    """Of the exact test on broken against mended; of a sign-flip test of clusters where problems share a source."""
    mcnemar_p_adjusted: float
    """Benjamini-Hochberg over all candidates, benchmarks and single perturbations, or over all categories."""
    evidence: Evidence
    margin: float
    """The increase of the robust drop that the evidence is about, as a fraction."""
    examples: tuple[BrokenExample, ...] = ()
    """Of the scope `all`: one case of each of the problems that broke under most perturbations, at most three."""


def compare_robustness(
    groups: Groups,
    records: Records,
    facts: Facts,
    *,
    baseline: str | None,
    margins: Margins,
    clusters: Clusters = each_alone,
) -> tuple[RobustChange, ...]:
    """Compare every recipe with the baseline under every scope of every benchmark; p-values are not adjusted yet.

    `groups` include the nominal cases. Problems whose prompts differ between the two recipes are left out.
    """
    changes = []
    for benchmark, recipe, base_name, cases in pairs_of_groups(groups, baseline):
        for scope, members in scopes_of(facts, benchmark).items():
            own = perturbed_tasks(recipe, members, cases, records)
            base = perturbed_tasks(base_name, members, cases, records)
            both = [name for name in own if name in base and own[name].prompts == base[name].prompts]
            examples = (
                broken_examples(cases, records, members, recipe=recipe, baseline=base_name) if scope == ALL else ()
            )
            changes.append(
                _change(
                    {name: (base[name].robustness(1), own[name].robustness(1)) for name in both},
                    subject=(benchmark, recipe, base_name, scope),
                    clusters=clusters_of_tasks(benchmark, both, clusters),
                    margin=margins("robust_drop", recipe, benchmark),
                    examples=examples,
                )
            )
    return tuple(changes)


def _change(
    pairs: Mapping[str, tuple[ProblemRobustness, ProblemRobustness]],
    *,
    subject: tuple[str, str, str, str],
    clusters: Sequence[str],
    margin: float,
    examples: tuple[BrokenExample, ...],
) -> RobustChange:
    benchmark, recipe, baseline, scope = subject
    base, own = [one for one, _ in pairs.values()], [one for _, one in pairs.values()]
    solved = {name: pair for name, pair in pairs.items() if all(one.nominal for one in pair)}
    broken = [name for name, (theirs, ours) in solved.items() if theirs.robust and not ours.robust]
    mended = [name for name, (theirs, ours) in solved.items() if ours.robust and not theirs.robust]
    increase = drop_increase(base, own, clusters)
    moved = [(name in mended) - (name in broken) for name in pairs]
    p = (
        mcnemar_p(PairedCounts(both=0, regressed=len(broken), fixed=len(mended), neither=0))
        if stand_alone(clusters)
        else sign_flip_p(cluster_sums(moved, clusters))
    )
    return RobustChange(
        benchmark=benchmark,
        recipe=recipe,
        baseline=baseline,
        scope=scope,
        drop_increase=increase,
        robust_pass_delta=paired_mean([one.robust for one in base], [one.robust for one in own], clusters),
        broken=tuple(broken),
        mended=tuple(mended),
        mcnemar_p=p,
        mcnemar_p_adjusted=p,
        evidence=evidence_of(negate(increase), margin=margin),
        margin=margin,
        examples=examples,
    )
