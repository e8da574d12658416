"""A self-test in the terminal and in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.terminal import lines
from pytest_qeval.report.text import Line
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import HEADER, case, record

SOUND = SummaryInput(
    run=replace(HEADER, model={"id": NAME, "source": NAME}, engine="replay"),
    duration_s=1.0,
    planned=[("reference", case(0)), ("reference", case(1)), ("empty", case(0)), ("empty", case(1))],
    records=[
        record("reference", 0, "+"),
        record("reference", 1, "+"),
        record("empty", 0, "-"),
        record("empty", 1, "-"),
    ],
    candidates=("reference", "empty"),
    baseline=None,
    recipes={},
    benchmarks={"micro": {"version": "1", "sha256": "0" * 64, "problems": 2, "excluded": {"micro/9": "slow"}}},
)
BROKEN = replace(SOUND, records=[record("reference", 0, "-"), *SOUND.records[1:]])


def shown(found: SummaryInput) -> list[Line]:
    return list(lines(summarize(found), (), output=Path("out")))


def test_a_sound_harness_is_one_green_line() -> None:
    """It replaces scores, comparisons and a verdict; excluded problems are listed as always."""
    assert shown(SOUND)[1:] == [
        Line(""),
        Line("self-test: micro: 2 of 2 references pass, 2 of 2 broken bodies fail", "green"),
        Line("  micro: 1 of 3 problems left out: micro/9 (slow)"),
        Line("report: out/report.json"),
    ]


def test_wrong_outcomes_are_red() -> None:
    assert shown(BROKEN)[2:4] == [
        Line("self-test: micro: 1 of 2 references pass, 2 of 2 broken bodies fail", "red"),
        Line("  not as expected: micro/0 (reference)", "red"),
    ]


def test_missing_cases_are_counted() -> None:
    assert Line("1 of 4 cases missing", "red") in shown(replace(SOUND, records=SOUND.records[1:]))


def test_a_self_test_without_problems_shows_no_green_line() -> None:
    assert Line("self-test: no problem was run", "yellow") in shown(replace(SOUND, planned=[], records=[]))


def test_long_lists_are_cut() -> None:
    """The line stays short; the report has all."""
    planned = [("reference", case(number)) for number in range(20)]
    found = replace(SOUND, planned=planned, records=[record("reference", number, "-") for number in range(20)])

    assert shown(found)[3].text.endswith("micro/11 (reference) … and 8 more")
    assert len(report_dict(summarize(found), ())["selftest"]["micro"]["wrong"]) == 20


def test_the_report_has_the_counts() -> None:
    """The section is null where a model was evaluated."""
    report = json.loads(json.dumps(report_dict(summarize(BROKEN), ())))

    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    assert report["selftest"] == {
        "micro": {
            "references": 2,
            "references_passed": 1,
            "broken": 2,
            "broken_failed": 2,
            "wrong": ["micro/0 (reference)"],
        }
    }
    assert report_dict(summarize(replace(SOUND, run=HEADER)), ())["selftest"] is None
