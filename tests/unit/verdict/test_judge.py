"""Gates are judged for every recipe that was asked for, over numbers that are the recipe's own."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.report.json import report_dict
from pytest_qeval.report.summary import Material, summarise
from pytest_qeval.report.terminal import lines
from pytest_qeval.verdict.gates import parse_gate
from pytest_qeval.verdict.judge import judge
from tests.unit.report.builders import session, simulating


@pytest.fixture
def material() -> Material:
    return session("++++----", "+++-+--t")


@pytest.mark.parametrize(
    ("lost", "expression", "reason"),
    [
        ("int8", "pass@1 drop <= 2pt", "int8 was never loaded"),
        ("int8", "pass@1 >= 0", "int8 was never loaded"),
        ("int8", "regressed <= 9", "int8 was never loaded"),
        ("int8", "model_bytes <= 9000", "int8 was never loaded"),
        ("auto", "pass@1 drop <= 2pt", "auto was never loaded"),
        ("auto", "energy ratio <= 1", "auto was never loaded"),
    ],
)
def test_a_recipe_that_was_never_loaded_breaks_its_gates(lost: str, expression: str, reason: str) -> None:
    """Whoever was asked for is judged; nobody is left out for having given no result."""
    found = session("    ", "++++") if lost == "auto" else session("++++", "    ")
    loaded = {name: facts for name, facts in found.recipes.items() if name != lost}
    (result,) = judge([parse_gate(expression)], summarise(replace(found, recipes=loaded)), require_proof=False)

    assert (result.recipe, result.outcome, result.reason) == ("int8", "fail", reason)


def test_one_of_two_recipes_cannot_be_left_out(material: Material) -> None:
    """A second recipe that could not be loaded turns the verdict."""
    summary = summarise(replace(material, candidates=("int8", "int4")))
    gates = judge([parse_gate("pass@1 drop <= 2pt")], summary, require_proof=False)

    assert [(gate.recipe, gate.outcome) for gate in gates] == [("int8", "pass"), ("int4", "fail")]
    assert report_dict(summary, gates)["verdict"] == "fail"
    assert "verdict: FAIL, 1 of 2 gates broken" in [line.text for line in lines(summary, gates, output=Path())]


@pytest.mark.parametrize("expression", ["pass@1 drop <= 2pt", "regressed <= 0", "throughput >= 1"])
def test_a_run_without_a_result_has_a_verdict(expression: str) -> None:
    """Interrupted before anything was loaded, or with nothing to generate: a gate was set, and it is broken."""
    nothing = replace(session("", ""), planned=[], recipes={}, generation=[])
    gates = judge([parse_gate(expression)], summarise(nothing), require_proof=False)

    assert [(gate.recipe, gate.outcome) for gate in gates] == [("int8", "fail")]
    shown = [line.text for line in lines(summarise(nothing), gates, output=Path())]
    assert "verdict: FAIL, 1 of 1 gates broken" in shown


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("pass@1 drop <= 2pt", "no pass@1 of int8 on any benchmark in this run"),
        ("regressed <= 0", "no comparison with a baseline on any benchmark"),
    ],
)
def test_a_run_without_cases_has_no_result_to_judge(material: Material, expression: str, reason: str) -> None:
    """Such as of the single streams alone: the recipes were loaded, and nothing was asked."""
    silent = replace(material, planned=[], records=[])
    (result,) = judge([parse_gate(expression)], summarise(silent), require_proof=False)

    assert (result.outcome, result.reason) == ("fail", reason)


@pytest.mark.parametrize(
    ("simulated", "expression", "outcome", "reason"),
    [
        ("int8", "throughput >= 1", "fail", "simulated: its throughput is not the recipe's"),
        ("int8", "energy ratio <= 9", "fail", "simulated: its energy is not the recipe's"),
        ("int8", "peak_memory <= 9000", "fail", "simulated: its peak_memory is not the recipe's"),
        ("int8", "model_bytes ratio <= 0.5", "pass", "observed 0.375"),
        ("int8", "pass@1 drop <= 2pt", "pass", "observed 0.0 pt"),
        ("auto", "throughput ratio >= 1", "fail", "baseline: simulated: its throughput is not the recipe's"),
        ("auto", "throughput >= 1", "pass", "observed 100"),
        ("auto", "model_bytes ratio <= 0.5", "pass", "observed 0.375"),
    ],
)
def test_a_simulated_recipe_has_no_speed_to_be_judged(
    material: Material, simulated: str, expression: str, outcome: str, reason: str
) -> None:
    """Only what its packed weights take, and what it answers, is the recipe's own."""
    summary = summarise(simulating(material, simulated))
    (result,) = judge([parse_gate(expression)], summary, require_proof=False)

    assert (result.recipe, result.outcome, result.reason) == ("int8", outcome, reason)
