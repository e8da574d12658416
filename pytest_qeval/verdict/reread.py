"""Conclude a finished run again from its journal, as the run itself did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pytest_qeval.facts import RunHeader
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.records.messages import Message, PlannedGate, RunEnd, RunResumed
from pytest_qeval.schema import Case
from pytest_qeval.verdict.compare import FinishedRun
from pytest_qeval.verdict.conclude import Verdict, conclude
from pytest_qeval.verdict.gates.grammar import Gate, parse_gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """A run's verdict, with the cases that its reports show."""

    verdict: Verdict
    planned: Sequence[tuple[str, Case]]
    collected: Collector


def conclude_again(finished: FinishedRun) -> Reread:
    """Conclude a run by its own plan and gates; one without an end is interrupted, and its duration 0.

    Raises:
        GateError: for a gate that this version cannot read.
    """
    collector = Collector()
    for message in finished.messages:
        collector.add(message)
    plan = finished.plan
    planned = [(one.recipe, one.case) for one in plan.cases]
    end = last_end(finished.messages)
    verdict = conclude(
        collector,
        run=resumed_header(finished.run.header, finished.messages),
        duration_s=end.duration_s if end else 0.0,
        planned=planned,
        roles=Roles(candidates=plan.candidates, baseline=plan.baseline, control=plan.control),
        gates=tuple(map(read_gate, plan.gates)),
        require_proof=plan.require_proof,
        allow_missing=plan.allow_missing,
        interrupted=end is None or end.interrupted,
    )
    return Reread(verdict=verdict, planned=planned, collected=collector)


def last_end(messages: Sequence[Message]) -> RunEnd | None:
    """Return how the last part of a run ended; None where it was killed."""
    found = [message for message in messages if isinstance(message, (RunEnd, RunResumed))]
    return found[-1] if found and isinstance(found[-1], RunEnd) else None


def resumed_header(header: RunHeader, messages: Sequence[Message]) -> RunHeader:
    """Return the header with the times at which the run went on."""
    return replace(header, resumed=tuple(asdict(one) for one in messages if isinstance(one, RunResumed)))


def plan_gate(gate: Gate) -> PlannedGate:
    """Return a gate as a journal has it."""
    return PlannedGate(
        expression=gate.expression,
        recipe=gate.recipe,
        benchmark=gate.benchmark,
        require_proof=gate.require_proof,
        reason=gate.reason,
        primary=gate.primary,
    )


def read_gate(planned: PlannedGate) -> Gate:
    """Return the gate of a journal.

    Raises:
        GateError: for an expression that cannot be read.
    """
    return replace(
        parse_gate(planned.expression),
        recipe=planned.recipe,
        benchmark=planned.benchmark,
        require_proof=planned.require_proof,
        reason=planned.reason,
        primary=planned.primary,
    )
