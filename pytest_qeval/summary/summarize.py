"""Records in, summary out: a pure function, so that every report can be rebuilt from `records.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.facts import (
    GenerationFacts,
    PerturbationFacts,
    RecipeFacts,
    RunHeader,
    SensitivityFacts,
    StreamFacts,
    TimelineFacts,
)
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.memory_facts import BudgetFacts, MemoryFacts
from pytest_qeval.measure.timing_facts import BlockEnergyFacts, ProblemTimingFacts, TimingFacts
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.summary.adjustment import adjust_pass_rates_and_scores, adjust_pools, adjust_robust_changes
from pytest_qeval.summary.cases import Groups, Records, group_cases
from pytest_qeval.summary.clusters import Clusters, clusters_of
from pytest_qeval.summary.comparability import find_remarks
from pytest_qeval.summary.comparison import Comparison, compare
from pytest_qeval.summary.costs import Efficiency, mark_slower, summarize_costs
from pytest_qeval.summary.divergence import DivergenceSummary, summarize_divergence, with_floors
from pytest_qeval.summary.early_stops import withhold_from_comparisons, withhold_from_lengths, withhold_from_results
from pytest_qeval.summary.energy import BlockEnergy, block_energy
from pytest_qeval.summary.length import LengthSummary, summarize_lengths
from pytest_qeval.summary.margins import Margins, default_margins
from pytest_qeval.summary.memory import summarize_memory
from pytest_qeval.summary.pass_rates import benchmark_results
from pytest_qeval.summary.pooled import pool
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.robust_comparison import compare_robustness
from pytest_qeval.summary.robustness import robust_results
from pytest_qeval.summary.scores import compare_scores, is_scored, score_results
from pytest_qeval.summary.selftest import selftest_results
from pytest_qeval.summary.throughput import summarize_throughput
from pytest_qeval.summary.timing import problem_times, workload_times


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryInput:
    """Everything that a session has collected."""

    run: RunHeader
    duration_s: float
    planned: Sequence[tuple[str, Case]]
    """(recipe, case) for every collected case."""
    records: Sequence[Record]
    candidates: Sequence[str]
    """Recipes that were requested, whether or not they were loaded."""
    baseline: str | None
    control: str | None = None
    recipes: Mapping[str, RecipeFacts]
    """Those that were loaded."""
    generation: Sequence[GenerationFacts] = ()
    streams: Sequence[StreamFacts] = ()
    timelines: Sequence[TimelineFacts] = ()
    """One for each process."""
    timings: Sequence[TimingFacts] = ()
    problem_timings: Mapping[str, ProblemTimingFacts] = field(default_factory=dict)
    """By recipe."""
    block_energies: Sequence[BlockEnergyFacts] = ()
    benchmarks: Mapping[str, Json] = field(default_factory=dict)
    sensitivity: Mapping[str, SensitivityFacts] = field(default_factory=dict)
    divergence: Mapping[str, DivergenceFacts] = field(default_factory=dict)
    memory: Mapping[str, MemoryFacts] = field(default_factory=dict)
    budgets: Mapping[str, BudgetFacts] = field(default_factory=dict)
    perturbations: Mapping[tuple[str, str], PerturbationFacts] = field(default_factory=dict)
    """By benchmark and perturbation."""
    decided: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why a recipe was stopped early on a benchmark, by recipe and benchmark."""
    margins: Margins = default_margins
    """The losses that evidence is about."""
    interrupted: bool = False
    """Whether the run was cut short."""


def summarize(found: SummaryInput) -> Summary:
    """Conclude what the input allows."""
    finished = {(record.recipe, record.case): record for record in found.records}
    records = {key: record for key, record in finished.items() if record.outcome != "unsupported"}
    baseline, control, margins = found.baseline, found.control, found.margins
    nominal = group_cases(key for key in found.planned if key[1].is_own)
    scored = {key: cases for key, cases in nominal.items() if is_scored(key[0], found.benchmarks, records)}
    executed = {key: cases for key, cases in nominal.items() if key not in scored}
    perturbed = {
        key: cases for key, cases in group_cases(found.planned).items() if not all(case.is_own for case in cases)
    }
    clusters, efficiency = clusters_of(found.benchmarks), _costs(found)
    names = [name for name in (baseline, control, *found.candidates) if name]
    comparisons, score_comparisons = adjust_pass_rates_and_scores(
        withhold_from_comparisons(
            compare(executed, records, baseline=baseline, control=control, margins=margins, clusters=clusters),
            found.decided,
        ),
        compare_scores(scored, records, baseline=baseline, margins=margins, clusters=clusters),
        control=control,
    )
    return Summary(
        run=found.run,
        duration_s=found.duration_s,
        planned=len(found.planned),
        received=len(records.keys() & set(found.planned)),
        candidates=tuple(found.candidates),
        baseline=baseline,
        recipes=found.recipes,
        comparability=find_remarks(found.run, found.recipes, baseline=baseline),
        results=withhold_from_results(benchmark_results(executed, finished, clusters=clusters), found.decided),
        comparisons=comparisons,
        pooled=()
        if found.decided  # a benchmark that was stopped early has an outcome-dependent number of problems
        else adjust_pools(
            pool(executed, records, baseline=baseline, margins=margins, clusters=clusters, benchmarks=found.benchmarks),
            control=control,
        ),
        score_results=score_results(scored, records, clusters=clusters),
        score_comparisons=score_comparisons,
        robust_results=robust_results(perturbed, records, found.perturbations, clusters=clusters),
        robust_changes=adjust_robust_changes(
            compare_robustness(
                perturbed, records, found.perturbations, baseline=baseline, margins=margins, clusters=clusters
            ),
            {one.name for one in found.perturbations.values()},
            control=control,
        ),
        lengths=withhold_from_lengths(_lengths(found, nominal, records), found.decided),
        efficiency=efficiency,
        memory=summarize_memory(names, found.budgets, found.memory, efficiency),
        throughput=summarize_throughput(found.timelines, found.records, wall_s=_last_part_s(found)),
        benchmarks=found.benchmarks,
        sensitivity=found.sensitivity,
        divergence=with_floors(
            {
                name: _divergence(facts, comparisons, records, baseline, clusters)
                for name, facts in found.divergence.items()
            },
            control,
        ),
        decided=found.decided,
        selftest=selftest_results(found.planned, records) if found.run.model.get("source") == NAME else None,
        interrupted=found.interrupted,
    )


def _last_part_s(found: SummaryInput) -> float:
    """Return the duration of what the timelines cover: the run, or its last part where it was resumed."""
    return max(0.0, found.duration_s - sum(float(part["earlier_s"]) for part in found.run.resumed))


def _divergence(
    facts: DivergenceFacts,
    comparisons: Sequence[Comparison],
    records: Records,
    baseline: str | None,
    clusters: Clusters,
) -> DivergenceSummary:
    """Set the divergence beside the flips on the same benchmark, where anything was generated."""
    compared = [one for one in comparisons if (one.recipe, one.benchmark) == (facts.recipe, facts.benchmark)]
    if not compared:
        return summarize_divergence(facts, None, clusters=clusters)
    own = (case for name, case in records if name == facts.recipe and case.is_own)
    both = {case.task_id for case in own if (baseline, case) in records}
    flips = {*compared[0].regressed, *compared[0].fixed}
    return summarize_divergence(facts, flips, compared=both, clusters=clusters)


def _lengths(found: SummaryInput, nominal: Groups, records: Records) -> LengthSummary:
    """Leave the completions of a self-test out, which no model wrote."""
    if found.run.model.get("source") == NAME:
        return LengthSummary()
    limit = int(found.run.generation.get("max_new_tokens", 0))
    return summarize_lengths(
        nominal, records, baseline=found.baseline, limit=limit, clusters=clusters_of(found.benchmarks)
    )


def _block_energies(found: SummaryInput, recipe: str) -> list[BlockEnergy]:
    timings = {one.workload.name: one for one in found.timings if one.recipe == recipe}
    own = (one for one in found.block_energies if one.recipe == recipe)
    blocks = (block_energy(one, timings.get(one.workload.name)) for one in own)
    return [one for one in blocks if one]


def _costs(found: SummaryInput) -> Mapping[str, Efficiency]:
    problems, base = (
        found.problem_timings,
        {one.workload.name: one for one in found.timings if one.recipe == found.baseline},
    )
    costs = {
        name: summarize_costs(
            facts,
            [record for record in found.records if record.recipe == name],
            [generation for generation in found.generation if generation.recipe == name],
            [stream for stream in found.streams if stream.recipe == name],
            told=found.run.energy,
            timings=[workload_times(one, base.get(one.workload.name)) for one in found.timings if one.recipe == name],
            problems=problem_times(problems[name], problems.get(found.baseline or "")) if name in problems else None,
            block_energies=_block_energies(found, name),
        )
        for name, facts in found.recipes.items()
    }
    native = [name for name in found.candidates if name in costs and found.recipes[name].execution == "native"]
    return mark_slower(costs, native, found.baseline)
