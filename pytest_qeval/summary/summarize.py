"""Records in, summary out: a pure function, so that every report can be made again from `records.jsonl`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.facts import GenerationFacts, PerturbationFacts, RecipeFacts, RunHeader, SensitivityFacts, StreamFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.schema import Case, Json, Quantity, Record
from pytest_qeval.stats.intervals import mean_of_problems, proportion
from pytest_qeval.stats.paired import adjusted
from pytest_qeval.stats.passk import KS, pass_at_k
from pytest_qeval.summary.comparison import MARGIN, compare
from pytest_qeval.summary.costs import efficiency, slower
from pytest_qeval.summary.divergence import summarize_divergence
from pytest_qeval.summary.results import BenchmarkResult, Comparison, DivergenceSummary, Efficiency, Summary
from pytest_qeval.summary.robustness import ROBUST_MARGIN, changes_of, is_perturbed, robust_results
from pytest_qeval.summary.score_results import ScoreComparison
from pytest_qeval.summary.scores import SCORE_MARGIN, adjust_changes, compare_scores, is_scored, score_results
from pytest_qeval.summary.selftest import selftest_results

__all__ = ["SummaryInput", "summarize"]

_Found = Mapping[tuple[str, Case], Record]
_Groups = Mapping[tuple[str, str], Sequence[Case]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryInput:
    """Everything a session gathered."""

    run: RunHeader
    duration_s: float
    planned: Sequence[tuple[str, Case]]
    """(recipe, case) for every collected case."""
    records: Sequence[Record]
    candidates: Sequence[str]
    """Recipes that were asked for, whether or not they were loaded."""
    baseline: str | None
    control: str | None = None
    recipes: Mapping[str, RecipeFacts]
    """Those that were loaded."""
    generation: Sequence[GenerationFacts] = ()
    streams: Sequence[StreamFacts] = ()
    benchmarks: Mapping[str, Json] = field(default_factory=dict)
    sensitivity: Mapping[str, SensitivityFacts] = field(default_factory=dict)
    divergence: Mapping[str, DivergenceFacts] = field(default_factory=dict)
    margins: Callable[[str, str], float] = lambda _recipe, _benchmark: MARGIN
    """The loss that evidence is about, by recipe and benchmark."""
    score_margins: Callable[[str, str, str], float] = lambda _recipe, _benchmark, _score: SCORE_MARGIN
    """The loss of a mean score that evidence is about, by recipe, benchmark and score."""
    decided: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why a recipe was left before all cases of a benchmark were asked."""
    perturbations: Mapping[tuple[str, str], PerturbationFacts] = field(default_factory=dict)
    robust_margins: Callable[[str, str], float] = lambda _recipe, _benchmark: ROBUST_MARGIN
    """The increase of the robust drop that evidence is about, by recipe and benchmark."""


def summarize(material: SummaryInput) -> Summary:
    """Conclude what the material allows."""
    found = {(record.recipe, record.case): record for record in material.records}
    groups: dict[tuple[str, str], list[Case]] = {}
    for recipe, case in material.planned:
        if not is_perturbed(case):
            groups.setdefault((case.benchmark, recipe), []).append(case)
    robust = _robust(material)
    scored = {key: cases for key, cases in groups.items() if is_scored(key[0], material.benchmarks, found)}
    executed = {key: cases for key, cases in groups.items() if key not in scored}
    comparisons, score_comparisons = _compared(executed, scored, found, material)
    return Summary(
        run=material.run,
        duration_s=material.duration_s,
        planned=len(material.planned),
        received=len(found.keys() & set(material.planned)),
        candidates=tuple(material.candidates),
        baseline=material.baseline,
        recipes=material.recipes,
        results=tuple(_result(*key, cases, found) for key, cases in executed.items()),
        comparisons=comparisons,
        score_results=score_results(scored, found),
        score_comparisons=score_comparisons,
        robust_results=robust_results(robust, found, material.perturbations),
        robust_changes=changes_of(
            robust,
            found,
            material.perturbations,
            baseline=material.baseline,
            control=material.control,
            margins=material.robust_margins,
        ),
        perturbations=material.perturbations,
        efficiency=_efficiencies(material),
        benchmarks=material.benchmarks,
        sensitivity=material.sensitivity,
        divergence={
            name: _divergence(facts, comparisons, found, material.baseline)
            for name, facts in material.divergence.items()
        },
        decided=material.decided,
        selftest=selftest_results(material.planned, found) if material.run.model.get("source") == NAME else None,
    )


def _robust(material: SummaryInput) -> _Groups:
    """Return the planned cases of every benchmark and recipe that was perturbed, nominal ones included."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for recipe, case in material.planned:
        groups.setdefault((case.benchmark, recipe), []).append(case)
    return {key: cases for key, cases in groups.items() if any(map(is_perturbed, cases))}


def _compared(
    executed: _Groups, scored: _Groups, found: _Found, material: SummaryInput
) -> tuple[tuple[Comparison, ...], tuple[ScoreComparison, ...]]:
    """Compare what is executed and what is scored; p-values of candidates are corrected for how many both are."""
    changes = compare_scores(scored, found, baseline=material.baseline, margins=material.score_margins)
    judged = [one for one in changes if one.recipe != material.control]
    scores = [change.p for one in judged for change in one.changes.values()]
    comparisons = compare(
        executed,
        found,
        baseline=material.baseline,
        control=material.control,
        margins=material.margins,
        others=scores,
    )
    others = [one.mcnemar_p for one in comparisons if one.recipe != material.control]
    corrected = iter(adjust_changes(judged, iter(adjusted([*scores, *others]))))
    return comparisons, tuple(one if one.recipe == material.control else next(corrected) for one in changes)


def _divergence(
    facts: DivergenceFacts, comparisons: Sequence[Comparison], found: _Found, baseline: str | None
) -> DivergenceSummary:
    """Set the divergence beside the flips on the same benchmark, where anything was generated."""
    compared = [one for one in comparisons if (one.recipe, one.benchmark) == (facts.recipe, facts.benchmark)]
    if not compared:
        return summarize_divergence(facts, None)
    asked = (case for name, case in found if name == facts.recipe and not is_perturbed(case))
    both = {case.task_id for case in asked if (baseline, case) in found}
    return summarize_divergence(facts, {*compared[0].regressed, *compared[0].fixed}, compared=both)


def _efficiencies(material: SummaryInput) -> Mapping[str, Efficiency]:
    costs = {
        name: efficiency(
            facts,
            [record for record in material.records if record.recipe == name],
            [generation for generation in material.generation if generation.recipe == name],
            [stream for stream in material.streams if stream.recipe == name],
        )
        for name, facts in material.recipes.items()
    }
    base = costs.get(material.baseline or "")
    if base is None or base.simulated:
        return costs
    native = [name for name in material.candidates if name in costs and material.recipes[name].execution == "native"]
    return costs | {name: replace(costs[name], slower=slower(costs[name], base)) for name in native}


def _result(benchmark: str, recipe: str, cases: Sequence[Case], found: _Found) -> BenchmarkResult:
    records = [found[recipe, case] for case in cases if (recipe, case) in found]
    unsolved = [record for record in records if record.outcome == "unsolved"]
    return BenchmarkResult(
        benchmark=benchmark,
        recipe=recipe,
        solved=tuple(record.case.label for record in records if record.outcome == "solved"),
        unsolved=tuple(record.case.label for record in unsolved),
        missing=len(cases) - len(records),
        pass_at=_pass_at(records),
        failures=dict(Counter(str(record.samples[0].execution.status) for record in unsolved).most_common()),
    )


def _pass_at(records: Sequence[Record]) -> Mapping[int, Quantity]:
    fewest = min((len(record.samples) for record in records), default=1)
    if all(len(record.samples) == 1 for record in records):
        return {1: proportion(sum(record.n_solved for record in records), len(records))}
    return {
        k: mean_of_problems([pass_at_k(len(record.samples), record.n_solved, k) for record in records])
        for k in KS
        if k <= fewest
    }
