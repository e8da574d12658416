"""Perturbed problems beside nominal ones, and a candidate's losses beside the baseline's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_qeval.facts import PerturbationFacts
from pytest_qeval.perturb.perturbed_problems import HALF
from pytest_qeval.schema import Case, Quantity, Record, Undefined
from pytest_qeval.stats.paired import PairedCounts, adjusted, evidence_of, mcnemar_p
from pytest_qeval.stats.passk import KS
from pytest_qeval.stats.robustness import (
    ProblemRobustness,
    drop_increase,
    means_of,
    problem_robustness,
    robust_pass_difference,
)
from pytest_qeval.summary.robust_examples import broken_examples
from pytest_qeval.summary.robust_results import ALL, RobustChange, RobustResult

__all__ = ["ROBUST_MARGIN", "changes_of", "is_perturbed", "robust_results", "scopes_of"]

ROBUST_MARGIN = 0.03
"""The increase of the robust drop that evidence is about where no gate names one: 3 points."""

_Found = Mapping[tuple[str, Case], Record]
_Groups = Mapping[tuple[str, str], Sequence[Case]]
"""Planned cases of the robustness suite by benchmark and recipe, nominal ones included."""


def is_perturbed(case: Case) -> bool:
    """Return whether a case belongs to robustness alone: perturbed, or nominal with half of its solution given."""
    return case.perturbation is not None


def scopes_of(facts: Iterable[PerturbationFacts]) -> Mapping[str, tuple[PerturbationFacts, ...]]:
    """Return every perturbation, every category, and all, each with its perturbations; nothing where none is known."""
    known = list(facts)
    scopes: dict[str, tuple[PerturbationFacts, ...]] = {one.name: (one,) for one in known}
    for category in dict.fromkeys(one.category for one in known):
        scopes[category] = tuple(one for one in known if one.category == category)
    return {**scopes, ALL: tuple(known)} if known else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One problem of a scope under one recipe: who was asked what, and what came out."""

    task_id: str
    questions: frozenset[tuple[Case, str]]
    """With the perturbation of each, which another version of a perturbation may have made another one."""
    nominal: tuple[bool, ...]
    """One value a sample; a sample counts where it passes in every form that was perturbed."""
    outcomes: tuple[tuple[bool, ...], ...]
    originals: tuple[tuple[bool, ...], ...]
    """What each outcome is compared with: of a problem that is asked in two forms, its own."""

    def at(self, k: int) -> ProblemRobustness:
        """Judge it."""
        return problem_robustness(self.nominal, self.outcomes, k=k, originals=self.originals)


def robust_results(
    groups: _Groups, found: _Found, facts: Mapping[tuple[str, str], PerturbationFacts]
) -> tuple[RobustResult, ...]:
    """Conclude for every benchmark, recipe and scope.

    Args:
        groups: Planned cases by benchmark and recipe.
        found: Records by recipe and case.
        facts: What perturbations made of benchmarks, by benchmark and name.
    """
    results = []
    for (benchmark, recipe), cases in groups.items():
        scopes = scopes_of(one for (name, _), one in facts.items() if name == benchmark)
        unpaired = _unpaired(recipe, scopes.get(ALL, ()), cases, found)
        for scope, members in scopes.items():
            names = {one.name for one in members}
            tasks = list(_tasks(recipe, members, cases, found))
            fewest = min((len(task.nominal) for task in tasks), default=1)
            results.append(
                RobustResult(
                    benchmark=benchmark,
                    recipe=recipe,
                    scope=scope,
                    perturbations=tuple(one.name for one in members),
                    problems=len(tasks),
                    asked=sum(case.perturbation in names for case in cases),
                    unpaired=sum(case.perturbation in names for case in unpaired),
                    missing=sum((recipe, case) not in found for case in _asked(cases, members)),
                    means={k: means_of([task.at(k) for task in tasks]) for k in KS if k <= fewest},
                )
            )
    return tuple(results)


def _asked(cases: Iterable[Case], members: Sequence[PerturbationFacts]) -> Iterator[Case]:
    """Return a scope's own cases; the nominal ones are those of the benchmark, which counts them itself."""
    names = {one.name for one in members} | {HALF for one in members if one.form == "half"}
    return (case for case in cases if case.perturbation in names)


def _original(case: Case, forms: Mapping[str, str]) -> Case:
    """Return the nominal case that a perturbed one is compared with."""
    half = forms[str(case.perturbation)] == "half"
    return Case(benchmark=case.benchmark, task_id=case.task_id, perturbation=HALF if half else None)


def _unpaired(recipe: str, members: Sequence[PerturbationFacts], cases: Sequence[Case], found: _Found) -> list[Case]:
    """Return the perturbed cases whose answers say nothing, and not because another answer was lost."""
    forms, planned = {one.name: one.form for one in members}, set(cases)
    alone = []
    for case in cases:
        if case.perturbation not in forms or (recipe, case) not in found:
            continue
        original = _original(case, forms)
        samples = len(found[recipe, case].samples)
        before = found.get((recipe, original))
        if original not in planned or (before and len(before.samples) != samples):
            alone.append(case)
    return alone


def _tasks(recipe: str, members: Sequence[PerturbationFacts], cases: Sequence[Case], found: _Found) -> Iterator[_Task]:
    forms = {one.name: one.form for one in members}
    by_task: dict[str, list[Case]] = {}
    for case in cases:
        if case.perturbation in forms:
            by_task.setdefault(case.task_id, []).append(case)
    for task_id, asked in by_task.items():
        if any((recipe, case) not in found for case in asked):
            continue  # the worst of them is not known
        wanted = [_original(case, forms) for case in asked]
        if any((recipe, case) not in found for case in wanted):
            continue
        originals = tuple(_passes(found[recipe, case]) for case in wanted)
        outcomes = tuple(_passes(found[recipe, case]) for case in asked)
        if len({len(samples) for samples in (*originals, *outcomes)}) == 1:
            yield _Task(
                task_id=task_id,
                questions=frozenset((case, found[recipe, case].prompt_diff) for case in (*wanted, *asked)),
                nominal=tuple(all(samples) for samples in zip(*originals, strict=True)),
                outcomes=outcomes,
                originals=originals,
            )


def _passes(record: Record) -> tuple[bool, ...]:
    return tuple(sample.execution.status == "passed" for sample in record.samples)


def changes_of(
    groups: _Groups,
    found: _Found,
    facts: Mapping[tuple[str, str], PerturbationFacts],
    *,
    baseline: str | None,
    control: str | None,
    margins: Callable[[str, str], float],
) -> tuple[RobustChange, ...]:
    """Compare every recipe with the baseline under every scope of every benchmark that both were asked.

    Args:
        groups: Planned cases by benchmark and recipe.
        found: Records by recipe and case.
        facts: What perturbations made of benchmarks, by benchmark and name.
        baseline: What to compare with, if anything.
        control: The baseline's second run, if there is one: no candidate, so its p-values are not corrected for.
        margins: The increase that evidence is about, by recipe and benchmark.
    """
    changes = []
    for (benchmark, recipe), cases in groups.items():
        if baseline is None or recipe == baseline or (benchmark, baseline) not in groups:
            continue
        for scope, members in scopes_of(one for (name, _), one in facts.items() if name == benchmark).items():
            own = {task.task_id: task for task in _tasks(recipe, members, cases, found)}
            base = {task.task_id: task for task in _tasks(baseline, members, cases, found)}
            both = [name for name in own if name in base and own[name].questions == base[name].questions]
            change = _change(
                [(base[name], own[name]) for name in both],
                benchmark=benchmark,
                recipe=recipe,
                baseline=baseline,
                scope=scope,
                margin=margins(recipe, benchmark),
            )
            if scope == ALL:
                examples = broken_examples(cases, found, members, recipe=recipe, baseline=baseline)
                change = replace(change, examples=examples)
            changes.append(change)
    return tuple(_adjusted(changes, {one.name for one in facts.values()}, control))


def _change(
    pairs: Sequence[tuple[_Task, _Task]], *, benchmark: str, recipe: str, baseline: str, scope: str, margin: float
) -> RobustChange:
    base, own = [one.at(1) for one, _ in pairs], [one.at(1) for _, one in pairs]
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
        delta=robust_pass_difference(base, own),
        broken=tuple(broken),
        mended=tuple(mended),
        p=p,
        p_adjusted=p,
        evidence=evidence_of(_negated(increase), margin=margin),
        margin=margin,
    )


def _negated(quantity: Quantity) -> Quantity:
    """Turn an increase of a loss into a change of what is kept, of which evidence speaks."""
    if isinstance(quantity, Undefined):
        return quantity
    low, high = (None if end is None else -end for end in (quantity.high, quantity.low))
    return replace(quantity, value=-quantity.value, low=low, high=high)


def _adjusted(changes: Sequence[RobustChange], single: set[str], control: str | None) -> Iterator[RobustChange]:
    """Correct for how many single perturbations there are, and for how many categories; `all` is one look at all."""
    corrected: dict[int, float] = {}
    for family in (
        [at for at, one in enumerate(changes) if one.scope in single and one.recipe != control],
        [at for at, one in enumerate(changes) if one.scope not in {*single, ALL} and one.recipe != control],
        [at for at, one in enumerate(changes) if one.scope == ALL and one.recipe != control],
    ):
        corrected |= dict(zip(family, adjusted([changes[at].p for at in family]), strict=True))
    for at, one in enumerate(changes):
        yield replace(one, p_adjusted=corrected.get(at, one.p))
