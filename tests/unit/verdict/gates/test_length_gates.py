"""Gates on the length of completions, and on how they end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.errors import GateError
from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.checks import check_benchmark_kinds
from pytest_qeval.verdict.gates.decider import needs_everything
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import session_of_both_kinds
from tests.unit.summary.test_length import BASE, LOOP, OWN, completed, length_session

FOUND = length_session(BASE, OWN)
REPLAYED = length_session(BASE, [completed("int8", number, (None, "replay", "a")) for number in range(6)])
MANY = length_session(
    [completed("auto", number, (100 + number % 50, "stop", "a")) for number in range(400)],
    [completed("int8", number, (100 + number % 50, "stop", "a")) for number in range(400)],
)


def judged(found: SummaryInput, expression: str, *, require_proof: bool = False) -> GateResult:
    (result,) = judge([parse_gate(expression)], summarize(found), require_proof=require_proof)
    return result


@pytest.mark.parametrize(
    ("expression", "outcome", "value"),
    [
        ("tokens ratio <= 1.10", "fail", 1430 / 615),
        ("micro:tokens ratio <= 2.5", "pass", 1430 / 615),
        ("tokens <= 250", "pass", 1430 / 6),
        ("truncated increase <= 1pt", "fail", 1 / 3),
        ("truncated <= 34%", "pass", 1 / 3),
        ("loops increase <= 1pt", "fail", 1 / 6),
        ("loops <= 0.2", "pass", 1 / 6),
    ],
)
def test_lengths_and_endings_are_judged(expression: str, outcome: str, value: float) -> None:
    """Each observed value has an interval."""
    result = judged(FOUND, expression)

    assert (result.outcome, result.benchmark) == (outcome, "micro")
    assert isinstance(result.observed, Estimate)
    assert result.observed.value == pytest.approx(value)
    assert result.observed.low is not None


@pytest.mark.parametrize("expression", ["tokens ratio <= 1.10", "truncated increase <= 1pt", "loops increase <= 1pt"])
def test_a_gate_can_be_proven(expression: str) -> None:
    """By the whole interval: six problems are too few."""
    few = length_session(BASE, [replace(one, recipe="int8") for one in BASE])

    assert judged(MANY, expression, require_proof=True).evidence == "not worse"
    assert judged(MANY, expression, require_proof=True).outcome == "pass"
    assert judged(few, expression).outcome == "pass"
    assert judged(few, expression, require_proof=True).reason.endswith("holds, but the interval does not prove it")


def test_a_gate_can_be_proven_to_be_broken() -> None:
    looping = [completed("int8", number, (512, "length", LOOP)) for number in range(400)]
    found = replace(MANY, records=[*MANY.records[:400], *looping])

    assert judged(found, "tokens ratio <= 1.10").evidence == "worse"
    assert judged(found, "loops increase <= 1pt").evidence == "worse"


@pytest.mark.parametrize("expression", ["tokens ratio <= 2", "tokens <= 900", "truncated increase <= 1pt"])
def test_what_a_file_does_not_tell_keeps_no_gate(expression: str) -> None:
    result = judged(REPLAYED, expression)

    assert result.outcome == "fail"
    assert "read from a file" in result.reason


def test_loops_of_a_file_are_judged() -> None:
    assert judged(REPLAYED, "loops increase <= 1pt").outcome == "pass"


def test_a_lost_case_fails_the_gate() -> None:
    assert judged(length_session(BASE[:5], OWN), "tokens ratio <= 9").reason == "1 case missing"


def test_every_benchmark_is_judged_executed_or_scored() -> None:
    results = judge([parse_gate("tokens ratio <= 1")], summarize(session_of_both_kinds()), require_proof=False)

    assert [result.benchmark for result in results] == ["micro", "text"]
    for executed, scored in ((["micro"], []), ([], ["text"])):
        check_benchmark_kinds([parse_gate("tokens ratio <= 1")], executed=executed, scored=scored)


def test_where_nothing_was_generated_there_is_nothing_to_judge() -> None:
    nothing = replace(FOUND, planned=[], records=[])

    assert judged(nothing, "tokens <= 9").reason == "no completion of int8 on any benchmark in this run"
    assert judged(nothing, "loops increase <= 9pt").reason == "no comparison with a baseline on any benchmark"


def test_a_run_cannot_end_early_for_them() -> None:
    """Their value depends on every completion."""
    assert all(needs_everything(parse_gate(text)) for text in ("tokens ratio <= 1", "loops <= 0", "truncated <= 0"))


@pytest.mark.parametrize("expression", ["tokens drop <= 1", "tokens ratio <= 110%", "loops ratio <= 1"])
def test_other_forms_are_refused(expression: str) -> None:
    with pytest.raises(GateError, match=r"does not apply to|is no share"):
        parse_gate(expression)
