import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.facts import BlockSensitivity, SensitivityFacts
from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.terminal import lines
from pytest_qeval.schema import Estimate
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import INT8, record, session


@pytest.fixture
def material() -> SummaryInput:
    return session("++++----", "+++-+--t")


def test_flips_are_told_by_task_in_both_directions(material: SummaryInput) -> None:
    """Solved by the baseline only is regressed, by the candidate only is fixed."""
    (comparison,) = summarize(material).comparisons

    assert (comparison.regressed, comparison.fixed) == (("micro/3",), ("micro/4",))
    assert isinstance(comparison.delta, Estimate)
    assert comparison.delta.value == 0
    assert comparison.mcnemar_p == 1.0


def test_failures_are_counted_by_status(material: SummaryInput) -> None:
    """A timeout is not a wrong answer."""
    results = {result.recipe: result for result in summarize(material).results}

    assert results["int8"].failures == {"failed": 3, "timeout": 1}
    assert results["auto"].failures == {"failed": 4}


def test_costs_are_ratios_of_what_was_measured(material: SummaryInput) -> None:
    """Throughput is tokens over engine time, energy is shared by the solved problems only."""
    costs = summarize(material).efficiency["int8"]

    assert costs.throughput == pytest.approx(100.0)
    assert costs.wh_per_solved == pytest.approx(0.1 / 4)
    assert costs.tpot_s is not None
    assert costs.tpot_s.p50 == pytest.approx(0.05)


def test_a_lost_case_is_missing_and_left_out_of_the_pairs() -> None:
    """The plan is the denominator of `missing`, the common cases that of the difference."""
    summary = summarize(session("++++", "++ +"))

    assert summary.missing == 1
    assert isinstance(summary.comparisons[0].delta, Estimate)
    assert summary.comparisons[0].delta.n == 3


@pytest.mark.parametrize(
    ("expression", "outcome", "reason"),
    [
        ("pass@1 drop <= 2pt", "pass", "observed 0.0 pt"),
        ("regressed <= 0", "fail", "observed 1, required <= 0"),
        ("pass@1 >= 0.6", "fail", "observed 0.500, required >= 0.600"),
        ("energy ratio <= 0.5", "pass", "observed 0.25"),
        ("throughput ratio >= 3", "fail", "observed 2, required >= 3"),
        ("model_bytes ratio <= 0.5", "pass", "observed 0.375"),
        ("pass@5 >= 0.5", "fail", "no pass@5 of int8 on micro in this run"),
        ("humaneval:pass@1 drop <= 2pt", "fail", "no pass@1 of int8 on humaneval in this run"),
    ],
)
def test_gates_judge_candidates(material: SummaryInput, expression: str, outcome: str, reason: str) -> None:
    """Each gate is judged for the candidate alone, and says what it saw."""
    (result,) = judge([parse_gate(expression)], summarize(material), require_proof=False)

    assert (result.recipe, result.outcome, result.reason) == ("int8", outcome, reason)


@pytest.mark.parametrize("expression", ["pass@1 drop <= 50pt", "pass@1 >= 0.1", "regressed <= 9"])
def test_a_missing_case_breaks_the_gate_that_needed_it(expression: str) -> None:
    """A lost case may have been the regression."""
    (result,) = judge([parse_gate(expression)], summarize(session("++++", "++ +")), require_proof=False)

    assert (result.outcome, result.reason) == ("fail", "1 cases are missing")


def test_evidence_is_what_the_interval_proves() -> None:
    """A hundred equal outcomes prove that no more than ten points were lost; eight prove nothing."""
    gate = parse_gate("pass@1 drop <= 10pt")

    (many,) = judge([gate], summarize(session("+-" * 50, "+-" * 50)), require_proof=True)
    (few,) = judge([gate], summarize(session("+-" * 4, "+-" * 4)), require_proof=True)

    assert (many.outcome, many.evidence) == ("pass", "not worse")
    assert (few.outcome, few.evidence) == ("fail", "unproven")


@pytest.mark.parametrize(
    "found", [session("++++----", "+++-+--t"), session("", "", planned=2), session("++  ", "  ++")]
)
def test_every_report_fits_its_schema(found: SummaryInput) -> None:
    """Full, empty and torn sessions alike, and nothing in them but JSON."""
    summary = summarize(found)
    gates = judge([parse_gate("pass@1 drop <= 2pt"), parse_gate("energy ratio <= 1")], summary, require_proof=False)
    report = json.loads(json.dumps(report_dict(summary, gates), allow_nan=False))

    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_the_terminal_tells_the_whole_story(material: SummaryInput, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Scores with intervals, the difference, the flips, the costs with their provenance, the verdict."""
    summary = summarize(material)
    gates = judge([parse_gate("regressed <= 0")], summary, require_proof=False)
    output = tmp_path_factory.getbasetemp()

    text = [line.text for line in lines(summary, gates, output=output)]

    expected = [
        "tiny · transformers · 16 cases · greedy · sandbox bwrap",
        "micro                     pass@1  95 % interval  solved  unsolved because",
        "  auto  float32 baseline  50.0%   21.5% – 78.5%  4/8     4 failed",
        "  int8  W8A8 native       50.0%   21.5% – 78.5%  4/8     3 failed · 1 timeout",
        "    1 regressed: micro/3",
        "    1 fixed: micro/4",
        "  energy estimated: a model",
        "  FAIL  regressed <= 0  (int8, micro): observed 1, required <= 0; unproven",
        "verdict: FAIL, 1 of 1 gates broken",
        f"report: {output / 'report.json'}",
    ]
    assert [line for line in text if line in expected] == expected


def test_what_a_benchmark_leaves_out_is_told(material: SummaryInput) -> None:
    """A score over fewer problems than the data has says so, in the report and on one line."""
    excluded = {"micro/90": "too slow", "micro/91": "of a class", "micro/92": "too slow"}
    facts = {**material.benchmarks["micro"], "excluded": excluded}
    summary = summarize(replace(material, benchmarks={"micro": facts}))
    shown = [line.text for line in lines(summary, (), output=Path())]

    assert "  micro: 3 of 11 problems left out: micro/90, micro/92 (too slow); micro/91 (of a class)" in shown
    report = json.loads(json.dumps(report_dict(summary, ())))
    assert report["benchmarks"]["micro"]["excluded"] == excluded
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_nothing_is_said_of_a_benchmark_that_is_asked_whole(material: SummaryInput) -> None:
    assert not any("left out" in line.text for line in lines(summarize(material), (), output=Path()))


def test_the_most_sensitive_blocks_are_shown_first(material: SummaryInput) -> None:
    """A handful on the terminal, all of them in the report."""
    blocks = tuple(BlockSensitivity(name=f"b{i}", layers=7, kl=1 / (i + 1), same_top1=0.5) for i in range(10))
    facts = SensitivityFacts(recipe="int8", texts=2, tokens=30, duration_s=1.0, blocks=blocks)
    summary = summarize(replace(material, sensitivity={"int8": facts}))
    shown = [line.text for line in lines(summary, (), output=Path())]
    start = next(i for i, text in enumerate(shown) if text.startswith("sensitivity to int8"))
    assert shown[start + 2].split()[:2] == ["b0", "1"]
    assert shown[start + 10] == "  … 2 more down to b9 (0.1); all are in the report"
    report = report_dict(summary, ())
    assert [block["name"] for block in report["sensitivity"]["int8"]["blocks"]] == [f"b{i}" for i in range(10)]


def test_notes_of_a_recipe_stand_below_its_costs(material: SummaryInput) -> None:
    noted = replace(material, recipes={**material.recipes, "int8": replace(INT8, notes=("held in 8 bits",))})
    assert "  int8: held in 8 bits" in [line.text for line in lines(summarize(noted), (), output=Path())]


@pytest.mark.parametrize("candidate", [["+", "-"], []], ids=["one sample", "no case"])
def test_recipes_may_have_other_numbers_of_samples(candidate: list[str]) -> None:
    """Beside a baseline of five samples stands a candidate of one, or one that never came to its first case."""
    material = session("++", "++")
    own = [record("auto", number, "+++--") for number in range(2)]
    own += [record("int8", number, letters) for number, letters in enumerate(candidate)]

    shown = [line.text for line in lines(summarize(replace(material, records=own)), (), output=Path("out"))]

    (head,) = (text for text in shown if text.startswith("micro "))
    (row,) = (text for text in shown if text.startswith("  int8 ") and "against" not in text)
    assert "pass@5" in head
    assert row[head.index("pass@5") :].startswith("–")
