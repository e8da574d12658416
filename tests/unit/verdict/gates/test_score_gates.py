"""Gates on mean scores: observed values, thresholds, missing cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.summarize import summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import SCORES_BASE, SCORES_OWN, scored, scored_session, session_of_both_kinds


def judged(summary: Summary, *expressions: str) -> tuple[GateResult, ...]:
    return judge([parse_gate(expression) for expression in expressions], summary, require_proof=False)


def test_a_baseline_that_scores_nothing_fails_the_gate() -> None:
    """Empty completions before and after must not look like no loss."""
    (gate,) = judged(summarize(scored_session([0.0] * 6, [0.0] * 6)), "bleu drop <= 1pt")

    assert gate.outcome == "fail"
    assert "auto itself has 0" in gate.reason


@pytest.mark.parametrize("silent", [("auto", "int8"), ("auto",), ("int8",)], ids=", ".join)
@pytest.mark.parametrize("expression", ["bleu drop <= 1pt", "bleu drop <= 90%", "chrf drop <= 1pt", "bleu >= 0"])
def test_completions_that_are_all_empty_keep_no_gate(silent: tuple[str, ...], expression: str) -> None:
    """BLEU of an empty sentence is exp(−r), which five words make 0.7 points."""
    material = scored_session([0.05] * 5, [0.05] * 5)
    empty = [scored(one.recipe, number % 5, 0.05, text="") for number, one in enumerate(material.records)]
    rows = [other if one.recipe in silent else one for one, other in zip(material.records, empty, strict=True)]
    (gate,) = judged(summarize(replace(material, records=rows)), expression)
    judges_own = expression == "bleu >= 0" and "int8" not in silent

    assert gate.outcome == ("pass" if judges_own else "fail")
    assert judges_own or gate.reason == f"all 5 completions of {silent[-1]} on text are empty"


def test_descriptions_without_a_word_of_the_references_keep_no_gate() -> None:
    """Their BLEU is above 0, but only so that it has a logarithm."""
    (gate,) = judged(summarize(scored_session([1e-77] * 6, [0.0] * 6)), "bleu drop <= 1pt")

    assert (gate.outcome, "auto itself has 0" in gate.reason) == ("fail", True)


def test_a_lost_case_fails_the_gate() -> None:
    (gate,) = judged(summarize(scored_session(SCORES_BASE, [0.5, None, *SCORES_OWN[2:]])), "bleu >= 0")

    assert (gate.outcome, gate.reason) == ("fail", "1 case missing")


@pytest.mark.parametrize(
    ("expression", "outcome", "value"),
    [
        ("bleu >= 0.4", "pass", 0.4375),
        ("text:chrf >= 0.5", "fail", 0.4375),
        ("bleu drop <= 5pt", "fail", 0.0625),
        ("bleu drop <= 7pt", "pass", 0.0625),
        ("chrf drop <= 12%", "fail", 0.125),
        ("chrf drop <= 13%", "pass", 0.125),
    ],
)
def test_gates_judge_means_and_drops(expression: str, outcome: str, value: float) -> None:
    (result,) = judged(summarize(scored_session(SCORES_BASE, SCORES_OWN)), expression)

    assert isinstance(result.observed, Estimate)
    assert (result.outcome, result.benchmark) == (outcome, "text")
    assert result.observed.value == pytest.approx(value)
    assert result.observed.low is not None


def test_gates_are_judged_on_benchmarks_of_their_kind() -> None:
    """Without a name, a pass rate is judged where there is one, and a score where there is one."""
    results = judged(summarize(session_of_both_kinds()), "pass@1 >= 0", "bleu >= 0", "micro:bleu >= 0")

    assert [(result.benchmark, result.outcome) for result in results] == [
        ("micro", "pass"), ("text", "pass"), ("micro", "fail"),
    ]  # fmt: skip
    assert results[2].reason == "no bleu of int8 on micro in this run"
