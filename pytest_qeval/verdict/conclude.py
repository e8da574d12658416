"""Turn collected messages into a verdict: summarize, compare, judge the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pytest_qeval.facts import BenchmarkFacts, RunHeader
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.schema import Case, Json
from pytest_qeval.summary.margins import DEFAULT_MARGINS
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import Gate, allowed_loss
from pytest_qeval.verdict.gates.judge import judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The summary of a run, and its gates."""

    summary: Summary
    gates: tuple[GateResult, ...]

    @property
    def holds(self) -> bool:
        """Whether all gates hold."""
        return all(gate.outcome == "pass" for gate in self.gates)


def conclude(
    collected: Collector,
    *,
    run: RunHeader,
    duration_s: float,
    planned: Sequence[tuple[str, Case]],
    roles: Roles,
    gates: Sequence[Gate],
    require_proof: bool,
    allow_missing: bool = False,
    interrupted: bool = False,
) -> Verdict:
    """Summarize a run, and judge its gates, unless the run was cut short."""
    summary = summarize(
        SummaryInput(
            run=run,
            duration_s=duration_s,
            planned=list(collected.expected_cases(planned)),
            records=list(collected.records.values()),
            candidates=roles.candidates,
            baseline=roles.baseline,
            control=roles.control,
            recipes={name: collected.recipes[name] for name in roles.recipes if name in collected.recipes},
            generation=collected.generation,
            streams=collected.streams,
            timelines=list(collected.timelines.values()),
            timings=list(collected.timings.values()),
            problem_timings=collected.problem_timings,
            block_energies=list(collected.block_energies.values()),
            sensitivity=collected.sensitivity,
            divergence=collected.divergence,
            memory=collected.memory,
            budgets=collected.budgets,
            benchmarks={name: _row(facts) for name, facts in collected.benchmarks.items()},
            margins=lambda metric, recipe, benchmark: allowed_loss(
                gates, recipe, benchmark, default=DEFAULT_MARGINS[metric], metric=metric
            ),
            decided=collected.stops,
            perturbations=collected.perturbations(),
            interrupted=interrupted,
        )
    )
    return Verdict(
        summary=summary,
        gates=()
        if interrupted
        else judge(
            gates, summary, require_proof=require_proof, allow_missing=allow_missing, decided=collected.decisions
        ),
    )


def _row(facts: BenchmarkFacts) -> Json:
    return {name: value for name, value in asdict(facts).items() if name != "name"}
