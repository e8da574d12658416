"""Perturbed problems beside nominal ones: how much each recipe loses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_qeval.facts import PerturbationFacts
from pytest_qeval.schema import Case, Record
from pytest_qeval.stats.passk import KS
from pytest_qeval.stats.robustness import ProblemRobustness, RobustnessMeans, mean_robustness, problem_robustness
from pytest_qeval.summary.cases import Groups, Records, nominal_case
from pytest_qeval.summary.clusters import Clusters, each_alone

ALL = "all"
"""Scope of all perturbations."""

Facts = Mapping[tuple[str, str], PerturbationFacts]
"""What perturbations made of problems, by benchmark and perturbation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCounts:
    """What the perturbations of a scope made of a benchmark's problems."""

    perturbations: tuple[str, ...]
    category: str | None
    """None if the scope has several."""
    level: str | None
    """None if the scope has several."""
    seeds: int
    """At most, per perturbation."""
    applied: int
    unchanged: int
    repeated: int
    invalid: int
    invalid_cases: Mapping[str, str]
    """Reasons by label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustResult:
    """One recipe on one benchmark under one scope: a perturbation, a category of them, or all."""

    benchmark: str
    recipe: str
    scope: str
    counts: ScopeCounts
    problems: int
    """Problems with nominal and perturbed completions."""
    planned: int
    """Perturbed cases that were planned; fewer than were made where some were deselected."""
    unpaired: int
    """Perturbed cases without a counterpart: the nominal case was not planned, or has another number of samples."""
    missing: int
    """Planned cases of the scope without a record."""
    means: Mapping[int, RobustnessMeans]
    """By k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbedTask:
    """One problem of a scope under one recipe: its prompts and their outcomes."""

    prompts: frozenset[tuple[Case, str]]
    """Cases with their prompt diffs, which another version of a perturbation may have made differently."""
    nominal: tuple[bool, ...]
    """One value a sample: whether it passes with every nominal prompt that was perturbed."""
    outcomes: tuple[tuple[bool, ...], ...]
    originals: tuple[tuple[bool, ...], ...]
    """Outcomes of the nominal prompt that each outcome is compared with."""

    def robustness(self, k: int) -> ProblemRobustness:
        """Return its robustness at k."""
        return problem_robustness(self.nominal, self.outcomes, k=k, originals=self.originals)


def scopes_of(facts: Facts, benchmark: str) -> Mapping[str, tuple[PerturbationFacts, ...]]:
    """Return a benchmark's scopes (every perturbation, every category, all), each with its perturbations."""
    known = [one for (name, _), one in facts.items() if name == benchmark]
    scopes: dict[str, tuple[PerturbationFacts, ...]] = {one.name: (one,) for one in known}
    for category in dict.fromkeys(one.category for one in known):
        scopes[category] = tuple(one for one in known if one.category == category)
    return {**scopes, ALL: tuple(known)} if known else {}


def robust_results(
    groups: Groups, records: Records, facts: Facts, *, clusters: Clusters = each_alone
) -> tuple[RobustResult, ...]:
    """Summarize every benchmark, recipe and scope; `groups` include the nominal cases."""
    results = []
    for (benchmark, recipe), cases in groups.items():
        scopes = scopes_of(facts, benchmark)
        unpaired = _unpaired(recipe, scopes.get(ALL, ()), cases, records)
        for scope, members in scopes.items():
            names, halves = {one.name for one in members}, any(one.form == "half" for one in members)
            tasks = perturbed_tasks(recipe, members, cases, records)
            shared = clusters_of_tasks(benchmark, tasks, clusters)
            fewest = min((len(task.nominal) for task in tasks.values()), default=1)
            results.append(
                RobustResult(
                    benchmark=benchmark,
                    recipe=recipe,
                    scope=scope,
                    counts=_count(members),
                    problems=len(tasks),
                    planned=sum(case.perturbation in names for case in cases),
                    unpaired=sum(case.perturbation in names for case in unpaired),
                    # Nominal cases with half of the solution count here, those without for the benchmark itself.
                    missing=sum(
                        (recipe, case) not in records
                        for case in cases
                        if case.perturbation in names or (halves and case.half)
                    ),
                    means={
                        k: mean_robustness([task.robustness(k) for task in tasks.values()], shared)
                        for k in KS
                        if k <= fewest
                    },
                )
            )
    return tuple(results)


def clusters_of_tasks(benchmark: str, task_ids: Iterable[str], clusters: Clusters) -> list[str]:
    """Return the cluster of each of a benchmark's problems."""
    return [clusters(Case(benchmark=benchmark, task_id=task_id)) for task_id in task_ids]


def _count(members: Sequence[PerturbationFacts]) -> ScopeCounts:
    categories, levels = {one.category for one in members}, {one.level for one in members}
    return ScopeCounts(
        perturbations=tuple(one.name for one in members),
        category=members[0].category if len(categories) == 1 else None,
        level=members[0].level if len(levels) == 1 else None,
        seeds=max(one.seeds for one in members),
        applied=sum(one.applied for one in members),
        unchanged=sum(one.unchanged for one in members),
        repeated=sum(one.repeated for one in members),
        invalid=sum(one.invalid for one in members),
        invalid_cases={label: reason for one in members for label, reason in one.reasons.items()},
    )


def _unpaired(recipe: str, members: Sequence[PerturbationFacts], cases: Sequence[Case], records: Records) -> list[Case]:
    """Return the finished perturbed cases that have no counterpart, for another reason than a lost record."""
    forms, planned = {one.name: one.form for one in members}, set(cases)
    unpaired = []
    for case in cases:
        own = records.get((recipe, case))
        if case.perturbation in forms and own:
            nominal = nominal_case(case, forms)
            before = records.get((recipe, nominal))
            if nominal not in planned or (before and len(before.samples) != len(own.samples)):
                unpaired.append(case)
    return unpaired


def perturbed_tasks(
    recipe: str, members: Sequence[PerturbationFacts], cases: Sequence[Case], records: Records
) -> dict[str, PerturbedTask]:
    """Return the problems of a scope of which a recipe has finished all cases, perturbed and nominal, by task id.

    A problem with a lost case is left out: its worst outcome is not known.
    """
    forms = {one.name: one.form for one in members}
    by_task: dict[str, list[Case]] = {}
    for case in cases:
        if case.perturbation in forms:
            by_task.setdefault(case.task_id, []).append(case)
    tasks = {}
    for task_id, perturbed in by_task.items():
        nominal = [nominal_case(case, forms) for case in perturbed]
        if any((recipe, case) not in records for case in (*nominal, *perturbed)):
            continue
        originals = tuple(_passes(records[recipe, case]) for case in nominal)
        outcomes = tuple(_passes(records[recipe, case]) for case in perturbed)
        if len({len(samples) for samples in (*originals, *outcomes)}) == 1:
            tasks[task_id] = PerturbedTask(
                prompts=frozenset((case, records[recipe, case].prompt_diff) for case in (*nominal, *perturbed)),
                nominal=tuple(all(samples) for samples in zip(*originals, strict=True)),
                outcomes=outcomes,
                originals=originals,
            )
    return tasks


def _passes(record: Record) -> tuple[bool, ...]:
    return tuple(sample.execution.status == "passed" for sample in record.samples)
