"""Messages in, conclusions out: in any order, from any worker, from a run under way or one that is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_qeval.facts import BenchmarkFacts, GateDecision
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.records.messages import Message
from pytest_qeval.schema import Case
from pytest_qeval.verdict.conclude import Verdict
from pytest_qeval.verdict.conclude import conclude as verdict_on
from pytest_qeval.verdict.gates.grammar import parse_gate
from tests.unit.summary.builders import BASELINE, HEADER, INT8, case, generation, record

BASE, OWN = "++++----", "+++-+--t"
PLANNED = [(recipe, case(number)) for recipe in ("auto", "int8") for number in range(8)]
DECISION = GateDecision(
    gate="regressed <= 0",
    recipe="int8",
    benchmark="micro",
    outcome="fail",
    evidence="unproven",
    reason="broken whatever the others bring, after 4 of 8 problems",
)


def messages(own: str = OWN) -> list[Message]:
    """Return the messages about two recipes; a blank is a case without a record."""
    return [
        BenchmarkFacts(name="micro", version="1", sha256="ab", problems=8),
        BASELINE,
        INT8,
        *(record("auto", number, letter) for number, letter in enumerate(BASE)),
        *(record("int8", number, letter) for number, letter in enumerate(own) if letter != " "),
        generation("int8", tokens=100, busy_s=2.0, energy_wh=0.4),
    ]


def conclude(
    received: Sequence[Message],
    *gates: str,
    candidates: tuple[str, ...] = ("int8",),
    planned: Sequence[tuple[str, Case]] = PLANNED,
    require_proof: bool = False,
) -> Verdict:
    collector = Collector()
    for message in received:
        collector.add(message)
    return verdict_on(
        collector,
        run=HEADER,
        duration_s=1.0,
        planned=planned,
        roles=Roles(candidates=candidates, baseline="auto"),
        gates=[parse_gate(gate) for gate in gates],
        require_proof=require_proof,
    )


def test_the_order_of_messages_does_not_matter() -> None:
    """Workers send them as they come; the conclusion is the same to the last digit."""
    received = messages()
    for shift in range(1, len(received)):
        turned = received[shift:] + received[:shift]
        assert conclude(turned, "pass@1 drop <= 2pt") == conclude(received, "pass@1 drop <= 2pt")


def test_recipes_are_in_the_order_of_their_roles() -> None:
    """Whoever was loaded first: a report has the baseline first."""
    assert list(conclude(messages()[::-1]).summary.recipes) == ["auto", "int8"]


def test_the_last_record_of_a_case_counts() -> None:
    """A case that a replaced worker runs again counts once."""
    again = record("int8", 3, "+")

    assert conclude([*messages(), again]).summary.comparisons[0].regressed == ()


def test_a_gate_decides_the_verdict() -> None:
    """One broken gate is enough; none at all holds."""
    assert conclude(messages()).holds
    assert conclude(messages(), "regressed <= 1").holds
    assert not conclude(messages(), "regressed <= 1", "regressed <= 0").holds


def test_a_gates_drop_is_the_margin_of_the_evidence() -> None:
    """Otherwise the report would say unproven of what the user has allowed."""
    allowed = conclude(messages(), "pass@1 drop <= 90pt").summary.comparisons[0]

    assert (allowed.margin, allowed.evidence) == (0.9, "not worse")
    assert conclude(messages()).summary.comparisons[0].margin == 0.02


def test_what_was_not_run_after_a_decision_is_not_missing() -> None:
    """The plan shrinks by it, the gate ends as it was decided, and the report can say why."""
    verdict = conclude([*messages("+++-    "), DECISION], "regressed <= 0")

    assert (verdict.summary.planned, verdict.summary.missing) == (12, 0)
    assert verdict.summary.decided == {("int8", "micro"): DECISION.reason}
    assert [(gate.outcome, gate.reason) for gate in verdict.gates] == [("fail", DECISION.reason)]


def test_what_was_not_run_without_a_decision_is_missing() -> None:
    """Of the same recipe on another benchmark, or of another recipe: a decision is about one of each."""
    other = replace(DECISION, benchmark="humaneval")
    verdict = conclude([*messages("+++-    "), other], "regressed <= 1")

    assert (verdict.summary.planned, verdict.summary.missing) == (16, 4)
    assert "4 cases missing" in verdict.gates[0].reason


def test_a_gate_that_was_not_decided_is_judged_by_what_there_is() -> None:
    """Such as one that is about what is known without a case."""
    verdict = conclude([*messages("+++-    "), DECISION], "regressed <= 0", "model_bytes ratio <= 0.5")

    assert [gate.outcome for gate in verdict.gates] == ["fail", "pass"]


def test_a_candidate_that_was_never_loaded_breaks_its_gate() -> None:
    """A missing result must not pass for success."""
    verdict = conclude(messages(), "regressed <= 8", candidates=("int8", "w4a16"))

    assert {gate.recipe: gate.outcome for gate in verdict.gates} == {"int8": "pass", "w4a16": "fail"}


def test_proof_can_be_required() -> None:
    """Eight problems do not prove two points."""
    assert conclude(messages("++++----"), "pass@1 drop <= 2pt").holds
    assert not conclude(messages("++++----"), "pass@1 drop <= 2pt", require_proof=True).holds
