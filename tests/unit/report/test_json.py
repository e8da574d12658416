"""`report.json` fits its schema, for whole, torn and empty sessions."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from pytest_qeval.facts import BlockSensitivity, SensitivityFacts
from pytest_qeval.measure.memory_facts import BudgetFacts
from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import HEADER, memory, prediction, scored_session, session, session_of_both_kinds

BUDGET = BudgetFacts(recipe="int8", budget_bytes=16_000_000_000, predicted=prediction())


@pytest.mark.parametrize(
    "found",
    [
        session("++++----", "+++-+--t"),
        session("", "", planned=2),
        session("++  ", "  ++"),
        session_of_both_kinds(),
        scored_session([0.5] * 6, [None] * 6),
        replace(session("+", "+"), memory={"int8": memory()}, budgets={"auto": BUDGET, "int8": BUDGET}),
    ],
    ids=["whole", "empty", "torn", "both kinds", "scored, all lost", "memory"],
)
def test_every_report_fits_its_schema(found: SummaryInput) -> None:
    """It holds nothing but JSON."""
    summary = summarize(found)
    gates = judge(
        [parse_gate("pass@1 drop <= 2pt"), parse_gate("energy ratio <= 1 rough")], summary, require_proof=False
    )
    report = json.loads(json.dumps(report_dict(summary, gates), allow_nan=False))

    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_the_run_has_its_counts() -> None:
    run = report_dict(summarize(session("++++", "++ +")), ())["run"]

    assert [run[name] for name in ("duration_s", "planned", "received", "missing")] == [12.5, 8, 7, 1]


def test_what_limits_the_comparison_is_listed() -> None:
    report = report_dict(summarize(replace(session("+", "+"), run=replace(HEADER, prompt_doubt="perhaps"))), ())
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))

    assert report["comparability"] == [{"level": "note", "text": "the prompt style completion is a guess: perhaps"}]
    jsonschema.validate(report["comparability"], {**schema["properties"]["comparability"], "$defs": schema["$defs"]})
    assert report_dict(summarize(session("+", "+")), ())["comparability"] == []


def test_sections_are_keyed_by_recipe() -> None:
    """Which is not repeated inside."""
    blocks = (BlockSensitivity(name="b0", layers=7, kl=1.0, same_top1=0.5),)
    facts = SensitivityFacts(recipe="int8", texts=2, tokens=30, duration_s=1.0, blocks=blocks)
    report = report_dict(summarize(replace(session("+", "+"), sensitivity={"int8": facts})), ())

    assert report["sensitivity"]["int8"]["blocks"] == [{"name": "b0", "layers": 7, "kl": 1.0, "same_top1": 0.5}]
    assert "recipe" not in report["sensitivity"]["int8"]
    assert report["recipes"]["int8"]["scheme"] == "W8A8"
    assert "name" not in report["recipes"]["int8"]
