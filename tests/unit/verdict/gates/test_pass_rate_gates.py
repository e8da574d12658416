"""Gates on pass rates and costs of a small session: observed values, missing cases, proof."""

from __future__ import annotations

import pytest

from pytest_qeval.summary.summarize import summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import session


@pytest.mark.parametrize(
    ("expression", "outcome", "reason"),
    [
        ("pass@1 drop <= 2pt", "pass", "observed 0.0 pt"),
        ("regressed <= 0", "fail", "observed 1, required <= 0"),
        ("pass@1 >= 0.6", "fail", "observed 0.500, required >= 0.600"),
        ("energy ratio <= 0.5 rough", "pass", "observed 0.25 (ratio to the baseline, single reading, estimated)"),
        ("throughput ratio >= 3 rough", "fail", "observed 2 (ratio to the baseline, single reading), required >= 3"),
        ("model_bytes ratio <= 0.5", "pass", "observed 0.375"),
        ("pass@5 >= 0.5", "fail", "no pass@5 of int8 on micro in this run"),
        ("humaneval:pass@1 drop <= 2pt", "fail", "no pass@1 of int8 on humaneval in this run"),
    ],
)
def test_gates_judge_candidates(expression: str, outcome: str, reason: str) -> None:
    """Each gate is judged for the candidate alone; a single reading is called one."""
    (result,) = judge([parse_gate(expression)], summarize(session("++++----", "+++-+--t")), require_proof=False)

    assert (result.recipe, result.outcome, result.reason) == ("int8", outcome, reason)


@pytest.mark.parametrize("expression", ["pass@1 drop <= 50pt", "pass@1 >= 0.1", "regressed <= 9"])
def test_a_missing_case_breaks_the_gate_that_needed_it(expression: str) -> None:
    """A lost case may have been the regression."""
    (result,) = judge([parse_gate(expression)], summarize(session("++++", "++ +")), require_proof=False)

    assert (result.outcome, result.reason) == ("fail", "1 case missing")


def test_evidence_is_what_the_interval_proves() -> None:
    """A hundred equal outcomes prove that no more than ten points were lost; eight prove nothing."""
    gate = parse_gate("pass@1 drop <= 10pt")

    (many,) = judge([gate], summarize(session("+-" * 50, "+-" * 50)), require_proof=True)
    (few,) = judge([gate], summarize(session("+-" * 4, "+-" * 4)), require_proof=True)

    assert (many.outcome, many.evidence) == ("pass", "not worse")
    assert (few.outcome, few.evidence) == ("fail", "unproven")
