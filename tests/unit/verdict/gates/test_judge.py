"""Gates are judged for every candidate, by numbers that are the recipe's own."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from pytest_qeval.facts import GateDecision
from pytest_qeval.report.json import report_dict
from pytest_qeval.report.terminal import lines
from pytest_qeval.schema import Estimate
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import divergence, session, simulating


@pytest.fixture
def material() -> SummaryInput:
    return session("++++----", "+++-+--t")


@pytest.mark.parametrize(
    ("lost", "expression", "reason"),
    [
        ("int8", "pass@1 drop <= 2pt", "int8 was never loaded"),
        ("int8", "pass@1 >= 0", "int8 was never loaded"),
        ("int8", "regressed <= 9", "int8 was never loaded"),
        ("int8", "model_bytes <= 9000", "int8 was never loaded"),
        ("auto", "pass@1 drop <= 2pt", "auto was never loaded"),
        ("auto", "energy ratio <= 1 rough", "auto was never loaded"),
    ],
)
def test_a_recipe_that_was_never_loaded_breaks_its_gates(lost: str, expression: str, reason: str) -> None:
    """Every candidate is judged; none is left out because it has no result."""
    found = session("    ", "++++") if lost == "auto" else session("++++", "    ")
    loaded = {name: facts for name, facts in found.recipes.items() if name != lost}
    (result,) = judge([parse_gate(expression)], summarize(replace(found, recipes=loaded)), require_proof=False)

    assert (result.recipe, result.outcome, result.reason) == ("int8", "fail", reason)


def test_one_of_two_recipes_cannot_be_left_out(material: SummaryInput) -> None:
    """A second recipe that could not be loaded turns the verdict."""
    summary = summarize(replace(material, candidates=("int8", "int4")))
    gates = judge([parse_gate("pass@1 drop <= 2pt")], summary, require_proof=False)

    assert [(gate.recipe, gate.outcome) for gate in gates] == [("int8", "pass"), ("int4", "fail")]
    assert report_dict(summary, gates)["verdict"] == "fail"
    assert "verdict: FAIL, 1 of 2 gates broken" in [line.text for line in lines(summary, gates, output=Path())]


@pytest.mark.parametrize("expression", ["pass@1 drop <= 2pt", "regressed <= 0", "throughput >= 1 rough"])
def test_a_run_without_a_result_has_a_verdict(expression: str) -> None:
    """Interrupted before anything was loaded, or with nothing to generate: a gate was set, and it is broken."""
    nothing = replace(session("", ""), planned=[], recipes={}, generation=[])
    gates = judge([parse_gate(expression)], summarize(nothing), require_proof=False)

    assert [(gate.recipe, gate.outcome) for gate in gates] == [("int8", "fail")]
    shown = [line.text for line in lines(summarize(nothing), gates, output=Path())]
    assert "verdict: FAIL, the gate is broken" in shown


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("pass@1 drop <= 2pt", "no pass@1 of int8 on any benchmark in this run"),
        ("regressed <= 0", "no comparison with a baseline on any benchmark"),
    ],
)
def test_a_run_without_cases_has_no_result_to_judge(material: SummaryInput, expression: str, reason: str) -> None:
    """Such as of the single streams alone: the recipes were loaded, and nothing was generated."""
    silent = replace(material, planned=[], records=[])
    (result,) = judge([parse_gate(expression)], summarize(silent), require_proof=False)

    assert (result.outcome, result.reason) == ("fail", reason)


@pytest.mark.parametrize(
    ("simulated", "expression", "outcome", "reason"),
    [
        ("int8", "throughput >= 1 rough", "fail", "simulated: its throughput is not the recipe's"),
        ("int8", "energy ratio <= 9 rough", "fail", "simulated: its energy is not the recipe's"),
        ("int8", "peak_memory <= 9000", "fail", "simulated: its peak_memory is not the recipe's"),
        ("int8", "model_bytes ratio <= 0.5", "pass", "observed 0.375"),
        ("int8", "pass@1 drop <= 2pt", "pass", "observed 0.0 pt"),
        ("auto", "throughput ratio >= 1 rough", "fail", "baseline: simulated: its throughput is not the recipe's"),
        ("auto", "throughput >= 1 rough", "pass", "observed 100 (single reading)"),
        ("auto", "model_bytes ratio <= 0.5", "pass", "observed 0.375"),
    ],
)
def test_a_simulated_recipe_has_no_speed_to_be_judged(
    material: SummaryInput, simulated: str, expression: str, outcome: str, reason: str
) -> None:
    """Only the size of its packed weights and its completions are the recipe's own."""
    summary = summarize(simulating(material, simulated))
    (result,) = judge([parse_gate(expression)], summary, require_proof=False)

    assert (result.recipe, result.outcome, result.reason) == ("int8", outcome, reason)


DROP = parse_gate("pass@1 drop <= 2pt")
DECISION = GateDecision(
    gate=DROP.expression, recipe="int8", benchmark="micro", outcome="pass", evidence="unproven", reason="settled"
)


def test_a_gate_judges_the_recipes_that_it_names(material: SummaryInput) -> None:
    """By name or pattern, each once, though two gates of one list may name it."""
    summary = summarize(replace(material, candidates=("int8", "int4", "int8-static")))
    gates = [replace(DROP, recipe=pattern) for pattern in ("int8*", "int8", "int4")]

    assert [gate.recipe for gate in judge(gates[:1], summary, require_proof=False)] == ["int8", "int8-static"]
    assert [gate.recipe for gate in judge(gates, summary, require_proof=False)] == ["int8", "int8-static", "int4"]


def test_a_gate_about_nobody_is_broken(material: SummaryInput) -> None:
    """Should it come so far: silence must not pass for success."""
    (result,) = judge([replace(DROP, recipe="w4*")], summarize(material), require_proof=False)

    assert (result.recipe, result.outcome, result.reason) == ("w4*", "fail", "w4* was never loaded")


@pytest.mark.parametrize(
    ("own", "session_wants", "outcome"),
    [(None, False, "pass"), (None, True, "fail"), (True, False, "fail"), (False, True, "pass")],
)
def test_a_gate_s_own_wish_for_proof_comes_first(
    material: SummaryInput, *, own: bool | None, session_wants: bool, outcome: str
) -> None:
    """Eight problems prove no loss below 2 points."""
    (result,) = judge([replace(DROP, require_proof=own)], summarize(material), require_proof=session_wants)

    assert (result.outcome, result.evidence) == (outcome, "unproven")
    assert result.reason.endswith("the interval does not prove it") == (outcome == "fail")


def test_what_has_no_interval_cannot_be_proven(material: SummaryInput) -> None:
    """The reason says so, instead of blaming an interval that nobody can find."""
    (result,) = judge([parse_gate("throughput >= 1 rough")], summarize(material), require_proof=True)

    assert (
        result.reason == "observed 100 (single reading) holds, but there is no interval that proves it (single reading)"
    )


def test_a_broken_gate_says_why_it_was_set(material: SummaryInput) -> None:
    """And one that holds does not."""
    gates = [replace(parse_gate(text), reason="we agreed on it") for text in ("regressed <= 0", "regressed <= 9")]

    assert [gate.reason for gate in judge(gates, summarize(material), require_proof=False)] == [
        "observed 1, required <= 0; reason of the gate: we agreed on it",
        "observed 1",
    ]


def test_a_lost_share_is_shown_in_per_cent(material: SummaryInput) -> None:
    """The baseline solved four of eight, the candidate as many, then two."""
    shown = []
    for candidate in ("+++-+--t", "++------"):
        summary = summarize(session("++++----", candidate))
        (result,) = judge([parse_gate("pass@1 drop <= 20%")], summary, require_proof=False)
        shown.append((result.outcome, result.reason))

    assert shown == [("pass", "observed 0.0 %"), ("fail", "observed 50.0 %, required <= 20.0 %")]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("kl <= 0.02", "observed 0.02000001, required <= 0.02"),
        ("same_top1 >= 0.98", "observed 0.980"),
        ("same_top1 >= 0.980001", "observed 0.980000, required >= 0.980001"),
    ],
)
def test_a_reason_has_the_digits_that_tell_its_numbers_apart(expression: str, reason: str) -> None:
    """No gate is broken by a number that looks as if it kept it."""
    kl, same = (Estimate(value=value, low=None, high=None, n=9, method="test") for value in (0.02000001, 0.98))
    summary = replace(summarize(session("++++", "++++")), divergence={"int8": divergence(kl=kl, same_top1=same)})
    (result,) = judge([parse_gate(expression)], summary, require_proof=False)

    assert result.reason == reason


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("kl <= 0.05", "observed 0.01, a lower bound, since rare tokens count as one"),
        ("reverse_kl <= 0.05", "observed 0.01, a lower bound that may miss half of the full value"),
        ("reverse_kl <= 0.005", "observed 0.01, required <= 0.005"),
    ],
)
def test_a_divergence_that_holds_is_proven_for_its_bound_only(expression: str, reason: str) -> None:
    """One that is too large is so all the more."""
    found = Estimate(value=0.01, low=0.009, high=0.02, n=9, method="test")
    summary = replace(summarize(session("++", "++")), divergence={"int8": divergence(kl=found, reverse_kl=found)})
    (result,) = judge([parse_gate(expression)], summary, require_proof=True)

    assert result.reason == reason
    assert result.evidence == ("worse" if "required" in reason else "not worse")


def test_a_drop_of_nothing_has_no_minus() -> None:
    """Baseline minus candidate is -0.0 in floating point."""
    shown = judge([parse_gate("pass@1 drop <= 2pt")], summarize(session("++++", "++++")), require_proof=False)
    assert [gate.reason for gate in shown] == ["observed 0.0 pt"]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("pass@1 >= 0", "1 case missing"),
        ("throughput >= 1 rough", "1 case missing"),
        ("model_bytes <= 9000", "observed 1500 B"),
        ("same_top1 >= 90%", "observed 0.990"),
    ],
)
def test_a_missing_case_breaks_what_depends_on_it(expression: str, reason: str) -> None:
    """Not what is known without any case, such as the size of the model."""
    same = Estimate(value=0.99, low=0.98, high=0.999, n=500, method="bootstrap")
    summary = replace(summarize(session("++++", "+++ ")), divergence={"int8": divergence(same_top1=same)})
    (result,) = judge([parse_gate(expression)], summary, require_proof=False)

    assert result.reason == reason


@pytest.mark.parametrize("own", ["+++ ", "+++?"], ids=["lost", "unsupported"])
def test_the_user_may_allow_that_cases_are_missing(own: str) -> None:
    """The others are judged, and the reason says how many there are not."""
    summary = summarize(session("++++", own))
    found = [
        judge([parse_gate(expression)], summary, require_proof=False, allow_missing=allowed)[0]
        for expression in ("pass@1 drop <= 2pt", "throughput >= 99999 rough")
        for allowed in (False, True)
    ]

    assert [(gate.outcome, gate.reason) for gate in found] == [
        ("fail", "1 case missing"),
        ("pass", "observed 0.0 pt, 1 case missing"),
        ("fail", "1 case missing"),
        ("fail", "observed 100 (single reading), required >= 1e+05"),
    ]


@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_a_decision_comes_before_what_is_missing(outcome: Literal["pass", "fail"]) -> None:
    """A recipe was left since nothing could change any more: for that gate, recipe and benchmark alone."""
    summary = summarize(session("++++", "++  "))
    decision = replace(DECISION, outcome=outcome, reason="settled after 2 of 4 cases")
    gates = [DROP, parse_gate("regressed <= 0")]
    first, second = judge(gates, summary, require_proof=False, decided={(DROP.expression, "int8", "micro"): decision})

    assert (first.outcome, first.reason) == (outcome, "settled after 2 of 4 cases")
    assert (second.outcome, second.reason) == ("fail", "2 cases missing")


def test_a_decision_without_proof_proves_nothing() -> None:
    """Where proof is required, stopping early does not replace it."""
    decided: dict[tuple[str, str, str | None], GateDecision] = {(DROP.expression, "int8", "micro"): DECISION}
    (result,) = judge([DROP], summarize(session("++++", "++  ")), require_proof=True, decided=decided)

    assert (result.outcome, result.reason) == ("fail", "settled holds, but the interval does not prove it")


def test_a_gate_on_one_benchmark_leaves_the_others_alone(material: SummaryInput) -> None:
    """And one on a benchmark without a result is broken."""
    gates = [parse_gate("micro:pass@1 >= 0"), parse_gate("humaneval:pass@1 >= 0")]

    assert [(gate.benchmark, gate.reason) for gate in judge(gates, summarize(material), require_proof=False)] == [
        ("micro", "observed 0.500"),
        ("humaneval", "no pass@1 of int8 on humaneval in this run"),
    ]
