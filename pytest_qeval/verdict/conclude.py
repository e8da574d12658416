"""From collected messages to a verdict: summarize, compare, judge the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.facts import RunHeader
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.schema import Case
from pytest_qeval.summary.margins import DEFAULT_MARGINS
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.judge import judge
from pytest_qeval.verdict.gates.margin import margin_of

__all__ = ["Verdict", "conclude"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is concluded."""

    summary: Summary
    gates: tuple[GateResult, ...]

    @property
    def holds(self) -> bool:
        """Whether all gates hold."""
        return all(gate.outcome == "pass" for gate in self.gates)


def conclude(
    gathered: Collector,
    *,
    run: RunHeader,
    duration_s: float,
    planned: Sequence[tuple[str, Case]],
    roles: Roles,
    gates: Sequence[Gate],
    require_proof: bool,
) -> Verdict:
    """Compare, and judge the gates."""
    summary = summarize(
        SummaryInput(
            run=run,
            duration_s=duration_s,
            planned=list(gathered.needed(planned)),
            records=list(gathered.records.values()),
            candidates=roles.candidates,
            baseline=roles.baseline,
            control=roles.control,
            recipes={name: gathered.recipes[name] for name in roles.recipes if name in gathered.recipes},
            generation=gathered.generation,
            streams=gathered.streams,
            sensitivity=gathered.sensitivity,
            divergence=gathered.divergence,
            benchmarks=gathered.benchmarks,
            margins=lambda metric, recipe, benchmark: margin_of(
                gates, recipe, benchmark, default=DEFAULT_MARGINS[metric], metric=metric
            ),
            decided=gathered.left_early(),
            perturbations=gathered.perturbations_applied(),
        )
    )
    return Verdict(
        summary=summary,
        gates=judge(gates, summary, require_proof=require_proof, decided=gathered.decisions),
    )
