"""Lengths of completions in the terminal and in the report."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.length import length_dict, length_lines
from pytest_qeval.report.text import Line
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.test_length import BASE, LOOP, OWN, completed, length_session

FOUND = length_session(BASE, OWN)
REPLAYED = length_session(
    [completed("auto", number, (None, "replay", "a")) for number in range(6)],
    [completed("int8", number, (None, "replay", LOOP if number == 2 else "a")) for number in range(6)],
)


def shown(found: SummaryInput) -> list[Line]:
    return list(length_lines(summarize(found)))


def test_a_comparison_is_one_line() -> None:
    """It names the cases that loop under the candidate alone."""
    _, head, line = shown(FOUND)

    assert head.text == "completions: how long they are, and how they end"
    assert line.text.startswith("  int8, micro: 2.33 × the tokens of auto [0.")
    assert line.text.endswith("] (238 against 102 a completion), truncated 0 → 2, loops 0 → 1 (micro/4)")


def test_endings_that_do_not_occur_are_not_shown() -> None:
    (*_, line) = shown(length_session(BASE, [replace(one, recipe="int8") for one in BASE]))

    assert line.text.startswith("  int8, micro: 1.00 × the tokens of auto [")
    assert line.text.endswith("] (102 against 102 a completion)")
    assert line.colour is None


def test_what_is_proven_to_have_grown_is_marked() -> None:
    base = [completed("auto", number, (100 + number, "stop", "a")) for number in range(50)]
    own = [completed("int8", number, (300 + number, "stop", "a")) for number in range(50)]

    assert shown(length_session(base, own))[-1].colour == "yellow"


def test_a_replay_shows_loops_or_nothing() -> None:
    """Without tokens there is no ratio."""
    assert shown(REPLAYED)[-1].text == "  int8, micro: loops 0 → 1 (micro/2)"
    assert shown(replace(REPLAYED, records=[one for one in REPLAYED.records if one.case.task_id != "micro/2"])) == []


def test_where_only_one_knows_how_completions_ended_the_other_is_unknown() -> None:
    own = [completed("int8", number, (None, "replay", "a")) for number in range(6)]
    base = [completed("auto", number, (LIMITED, "length", "a")) for number in range(6)]

    assert shown(length_session(base, own))[-1].text == "  int8, micro: truncated 6 → ?"


LIMITED = 512


def test_the_report_has_a_section_by_benchmark() -> None:
    section = length_dict(summarize(FOUND))["micro"]
    compared = section["comparisons"]["int8"]

    assert section["results"]["int8"]["truncated"]["count"] == 2
    assert section["results"]["int8"]["looping"] == ["micro/4"]
    assert compared["token_ratio"]["value"] == pytest.approx((100 + 101 + 102 + 103 + 1024) / 615)
    assert compared["baseline"] == "auto"
    assert "recipe" not in compared


@pytest.mark.parametrize("found", [FOUND, REPLAYED], ids=["model", "replay"])
def test_the_section_fits_the_schema(found: SummaryInput) -> None:
    report = json.loads(json.dumps(report_dict(summarize(found), ()), allow_nan=False))

    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    assert set(report["length"]["micro"]["results"]) == {"auto", "int8"}
