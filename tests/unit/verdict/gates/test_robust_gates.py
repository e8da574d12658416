"""Gates on perturbed problems: observed values, thresholds, missing cases, and the direction of a proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.errors import GateError
from pytest_qeval.report.terminal import lines
from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import summarize
from pytest_qeval.verdict.gates.checks import parse_gates
from pytest_qeval.verdict.gates.grammar import allowed_loss, parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import session
from tests.unit.summary.perturbed import BASE, NOMINAL, OWN, Outcomes, robust_session

MANY = 40


def often(outcomes: Outcomes) -> Outcomes:
    return {name: [letters * MANY for letters in seeds] for name, seeds in outcomes.items()}


def judged(expression: str, baseline: Outcomes = BASE, candidate: Outcomes = OWN, *, proof: bool = False) -> GateResult:
    summary = summarize(robust_session(baseline, candidate))
    (result,) = judge([parse_gate(expression)], summary, require_proof=proof)
    return result


@pytest.mark.parametrize(
    ("expression", "observed", "outcome"),
    [
        ("robust_drop <= 30%", 3 / 10, "pass"),
        ("robust_drop < 0.29", 3 / 10, "fail"),
        ("robust_drop increase <= 20.1pt", 0.2, "pass"),
        ("robust_drop increase <= 3pt", 0.2, "fail"),
        ("robust_pass >= 0.5", 7 / 12, "pass"),
        ("micro:robust_pass >= 60%", 7 / 12, "fail"),
        ("robust_pass drop <= 17pt", 2 / 12, "pass"),
        ("robust_pass drop <= 3pt", 2 / 12, "fail"),
    ],
)
def test_a_gate_judges_what_is_observed_over_all_perturbations(expression: str, observed: float, outcome: str) -> None:
    """The number of the scope `all`, against the threshold."""
    result = judged(expression)

    assert isinstance(result.observed, Estimate)
    assert result.observed.value == pytest.approx(observed)
    assert (result.benchmark, result.outcome) == ("micro", outcome)


@pytest.mark.parametrize("expression", ["robust_drop increase <= 3pt", "robust_pass drop <= 3pt"])
def test_where_the_baseline_loses_everything_nothing_can_be_lost(expression: str) -> None:
    """Which must not look as if the candidate were no more brittle."""
    shattered: Outcomes = {"": [NOMINAL], "typos": ["-" * 12]}
    result = judged(expression, shattered, shattered)

    assert (result.outcome, result.reason) == (
        "fail", "auto itself solves no problem under every perturbation, so nothing can be lost",
    )  # fmt: skip


@pytest.mark.parametrize("expression", ["robust_drop increase <= 3pt", "robust_pass drop <= 3pt"])
@pytest.mark.parametrize(
    ("baseline", "candidate", "outcome", "evidence"),
    [(BASE, OWN, "fail", "worse"), (OWN, BASE, "pass", "not worse")],
    ids=["more brittle", "less brittle"],
)
def test_many_problems_prove_it(
    expression: str, baseline: Outcomes, candidate: Outcomes, outcome: str, evidence: str
) -> None:
    """An increase of the drop is a loss, as a drop of the robust pass is."""
    result = judged(expression, often(baseline), often(candidate), proof=True)

    assert (result.outcome, result.evidence) == (outcome, evidence)


@pytest.mark.parametrize("expression", ["robust_drop increase <= 90pt", "robust_pass drop <= 20pt"])
def test_few_problems_prove_nothing(expression: str) -> None:
    """What holds by a hair is broken where proof is wanted."""
    same: Outcomes = {"": ["++"], "typos": ["++"]}

    assert judged(expression, same, same).outcome == "pass"
    result = judged(expression.replace("90", "3").replace("20", "3"), same, same, proof=True)
    assert (result.outcome, result.evidence) == ("fail", "unproven")


LOST: Outcomes = {**OWN, "typos": [" " + OWN["typos"][0][1:], *OWN["typos"][1:]]}


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("robust_drop <= 90%", "fail"),
        ("robust_drop increase <= 90pt", "fail"),
        ("robust_pass >= 0", "fail"),
        ("throughput > 0 rough", "fail"),
        ("pass@1 >= 0.5", "pass"),
        ("pass@1 drop <= 5pt", "pass"),
        ("regressed <= 0", "pass"),
        ("model_bytes <= 9000", "pass"),
    ],
)
@pytest.mark.parametrize("loser", ["candidate", "baseline"])
def test_a_missing_perturbed_case_breaks_what_it_is_part_of(expression: str, outcome: str, loser: str) -> None:
    """Which pass@1 is not; costs of the whole run are."""
    baseline, candidate = (LOST, OWN) if loser == "baseline" else (BASE, LOST)
    result = judged(expression, baseline, candidate)

    assert result.outcome == outcome
    assert ("1 case missing" in result.reason) == (outcome == "fail")


@pytest.mark.parametrize("expression", ["robust_drop <= 90%", "pass@1 >= 0.5"])
def test_a_missing_nominal_case_breaks_both(expression: str) -> None:
    """It is counted once."""
    lost: Outcomes = {**OWN, "": [" " + NOMINAL[1:]]}

    assert judged(expression, BASE, lost).reason == "1 case missing"


@pytest.mark.parametrize("form", ["robust_drop <= 1", "robust_pass drop <= 3pt", "robust_drop increase <= 3pt"])
def test_a_run_that_perturbed_nothing_breaks_the_gate(form: str) -> None:
    """The reason says what to add."""
    (result,) = judge([parse_gate(form)], summarize(session("++", "++")), require_proof=False)

    assert result.outcome == "fail"
    assert "it takes a run with --qeval-suite robustness" in result.reason


@pytest.mark.parametrize("expression", ["robust_drop drop <= 3pt", "robust_pass increase <= 3pt", "robust_drop@1 <= 1"])
def test_a_form_that_makes_no_sense_is_refused(expression: str) -> None:
    """A drop is already a loss, and a pass cannot be too high."""
    with pytest.raises(GateError):
        parse_gate(expression)


@pytest.mark.parametrize("expression", ["robust_drop increase <= 3pt", "robust_pass drop <= 3pt"])
def test_a_comparison_needs_a_baseline(expression: str) -> None:
    """Its own robustness does not."""
    with pytest.raises(GateError, match="this run has none"):
        parse_gates([expression], has_baseline=False)
    assert parse_gates(["robust_drop <= 30%"], has_baseline=False)


def test_the_margin_is_the_increase_that_a_gate_allows() -> None:
    """Gates on other numbers, or on the drop itself, say nothing about it."""
    gates = [parse_gate(text) for text in ("pass@1 drop <= 9pt", "robust_drop <= 30%", "robust_drop increase <= 5pt")]

    assert allowed_loss(gates, "int8", "micro", default=0.03, metric="robust_drop") == 0.05
    assert allowed_loss(gates, "int8", "micro", default=0.02) == 0.09
    assert allowed_loss(gates[:2], "int8", "micro", default=0.03, metric="robust_drop") == 0.03


def test_without_a_baseline_the_drop_has_an_interval() -> None:
    """There is no increase to show then."""
    summary = replace(summarize(robust_session(often(BASE), often(OWN))), robust_changes=())
    rows = {tuple(line.text.split()[:2]): line.text.split()[7:] for line in lines(summary, (), output=Path())}

    assert rows["micro,", "perturbed"] == ["robust", "drop", "95", "%", "interval"]
    drop, low, dash, high = rows["all", "int8"]
    assert (drop, dash) == ("30.0%", "–")
    assert float(low.strip("%")) < 30 < float(high.strip("%"))


def test_the_terminal_says_it_in_lines() -> None:
    """Categories and all in a table, what was left out, the change in colour, and one example with its diffs."""
    summary = summarize(robust_session(often(BASE), often(OWN)))
    shown = [(line.text, line.colour) for line in lines(summary, (), output=Path())]
    text = [line for line, _ in shown]

    rows = {tuple(line.split()[:2]): line.split()[2:] for line in text}
    assert rows["all", "auto"] == ["480", "83.3%", "75.0%", "8.3%", "8.3%", "10.0%"]
    *shares, increase, low, high = rows["all", "int8"]
    assert (shares, increase) == (["480", "83.3%", "58.3%", "25.0%", "8.3%", "30.0%"], "+20.0")
    assert low.startswith("[+")
    assert high.endswith("]")
    assert "  12 perturbed problems from 1 perturbation; left out: 2 unchanged, 1 repeated" in text
    (about,) = (one for one in shown if one[0].startswith("  int8 against auto: robust drop"))
    assert "+20.0 pt [" in about[0]
    assert about[0].endswith("worse at a margin of 3 pt")
    assert about[1] == "red"
    assert "    80 robust under auto only, 0 robust under int8 only" in text
    assert any(line.startswith("    for example micro/") for line in text)
