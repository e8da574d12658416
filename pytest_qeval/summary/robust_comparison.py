"""A candidate's losses to perturbation beside the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.schema import Evidence, Quantity
from pytest_qeval.stats.intervals import negate
from pytest_qeval.stats.paired import PairedCounts, evidence_of, mcnemar_p, paired_mean
from pytest_qeval.stats.robustness import drop_increase
from pytest_qeval.summary.cases import Groups, Records, pairs_of_groups
from pytest_qeval.summary.margins import Margins
from pytest_qeval.summary.robust_examples import BrokenExample, broken_examples
from pytest_qeval.summary.robustness import ALL, Facts, PerturbedTask, perturbed_tasks, scopes_of

__all__ = ["RobustChange", "compare_robustness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustChange:
    """A candidate against the baseline under one scope, over the problems that both finished."""

    benchmark: str
    recipe: str
    baseline: str
    scope: str
    increase: Quantity
    """Candidate minus baseline robust drop@1, as a fraction."""
    delta: Quantity
    """Candidate minus baseline robust pass@1, as a fraction."""
    broken: tuple[str, ...]
    """Task ids that both solve nominally, and of the perturbed forms only the baseline solves all."""
    mended: tuple[str, ...]
    """Task ids that both solve nominally, and of the perturbed forms only the candidate solves all."""
    p: float
    """Exact McNemar test on broken against mended."""
    p_adjusted: float
    """Benjamini-Hochberg over all candidates, benchmarks and single perturbations, or over all categories."""
    evidence: Evidence
    margin: float
    """The increase of the robust drop that the evidence is about, as a fraction."""
    examples: tuple[BrokenExample, ...] = ()
    """Of the scope `all`: one case of each of the problems that broke under most perturbations, at most three."""


def compare_robustness(
    groups: Groups, records: Records, facts: Facts, *, baseline: str | None, margins: Margins
) -> tuple[RobustChange, ...]:
    """Compare every recipe with the baseline under every scope of every benchmark; p-values are not adjusted yet.

    Problems whose prompts differ between the two recipes are left out.

    Args:
        groups: Planned cases, nominal ones included.
        records: What is known of them.
        facts: The perturbations.
        baseline: The recipe to compare with, if any.
        margins: The increase of the robust drop that evidence is about.
    """
    changes = []
    for benchmark, recipe, base_name, cases in pairs_of_groups(groups, baseline):
        for scope, members in scopes_of(facts, benchmark).items():
            own = {task.task_id: task for task in perturbed_tasks(recipe, members, cases, records)}
            base = {task.task_id: task for task in perturbed_tasks(base_name, members, cases, records)}
            both = [name for name in own if name in base and own[name].prompts == base[name].prompts]
            examples = (
                broken_examples(cases, records, members, recipe=recipe, baseline=base_name) if scope == ALL else ()
            )
            changes.append(
                _change(
                    [(base[name], own[name]) for name in both],
                    subject=(benchmark, recipe, base_name, scope),
                    margin=margins("robust_drop", recipe, benchmark),
                    examples=examples,
                )
            )
    return tuple(changes)


def _change(
    pairs: Sequence[tuple[PerturbedTask, PerturbedTask]],
    *,
    subject: tuple[str, str, str, str],
    margin: float,
    examples: tuple[BrokenExample, ...],
) -> RobustChange:
    benchmark, recipe, baseline, scope = subject
    base, own = [one.robustness(1) for one, _ in pairs], [one.robustness(1) for _, one in pairs]
    broken: list[str] = []
    mended: list[str] = []
    for (task, _), ours, theirs in zip(pairs, own, base, strict=True):
        if ours.nominal and theirs.nominal and bool(ours.robust) != bool(theirs.robust):
            (mended if ours.robust else broken).append(task.task_id)
    increase = drop_increase(base, own)
    p = mcnemar_p(PairedCounts(both=0, regressed=len(broken), fixed=len(mended), neither=0))
    return RobustChange(
        benchmark=benchmark,
        recipe=recipe,
        baseline=baseline,
        scope=scope,
        increase=increase,
        delta=paired_mean([one.robust for one in base], [one.robust for one in own]),
        broken=tuple(broken),
        mended=tuple(mended),
        p=p,
        p_adjusted=p,
        evidence=evidence_of(negate(increase), margin=margin),
        margin=margin,
        examples=examples,
    )
