"""A run is concluded again from its journal as it was the first time."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.records.messages import Message, PlannedGate
from pytest_qeval.report.json import report_dict
from pytest_qeval.session import Session
from pytest_qeval.settings import ModelSettings
from pytest_qeval.verdict.compare import FinishedRun
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.reread import Reread, conclude_again, plan_gate, read_gate
from tests.unit.summary.builders import BASELINE, HEADER, INT8, case, record

GATES = (
    replace(parse_gate("micro:pass@1 drop <= 2pt"), require_proof=True, reason="as agreed", recipe="int*"),
    replace(parse_gate("pass@1 drop <= 60pt"), primary=True),
)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Make a session that ends after five seconds."""
    settings = RunSettings(
        model=ModelSettings(name="tiny"), candidates=("int8",), baseline="auto", gates=GATES, allow_missing=True
    )
    return Session(settings, HEADER, output=tmp_path, clock=iter([0.0, 5.0]).__next__)


def run(session: Session) -> Session:
    session.plan([(recipe, case(number)) for recipe in ("auto", "int8") for number in range(3)])
    solved, lost = [record("auto", n, "+") for n in range(3)], [record("int8", n, "-") for n in range(2)]
    messages: list[Message] = [BASELINE, INT8, *solved, *lost]
    for message in messages:
        session.add(message)
    return session


def again(session: Session) -> Reread:
    return conclude_again(FinishedRun.read(session.output / "records.jsonl"))


def test_the_report_is_the_same(session: Session) -> None:
    """With its gates, whatever a gate file said of them, its duration and the options of judging."""
    run(session).finish()
    found = again(session).verdict

    assert found.gates == session.gates
    assert [(gate.outcome, gate.primary) for gate in found.gates] == [("fail", False), ("fail", True)]
    assert "as agreed" in found.gates[0].reason
    assert report_dict(found.summary, found.gates)["run"]["duration_s"] == 5.0
    assert found.summary.run == HEADER


def test_a_run_that_was_cut_short_is_concluded_by_what_is_there(session: Session) -> None:
    """Its cases are missing, and nobody knows how long it would have taken."""
    found = again(run(session))
    session.finish()

    assert (found.verdict.summary.duration_s, found.verdict.summary.missing) == (0.0, 1)
    assert len(found.planned) == 6
    assert len(found.collected.records) == 5


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.expression)
def test_a_gate_survives_the_journal(gate: object) -> None:
    planned = plan_gate(gate)  # type: ignore[arg-type] # a Gate

    assert read_gate(PlannedGate(**asdict(planned))) == gate
