"""Executed benchmarks in the terminal and in the report."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.pass_rates import pass_rate_dict, pass_rate_lines
from pytest_qeval.report.text import Line
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import case, record, session

FOUND = session("++++----", "+++-+--t")


def shown(found: SummaryInput) -> list[Line]:
    return list(pass_rate_lines(summarize(found), "micro"))


def texts(found: SummaryInput) -> list[str]:
    return [line.text for line in shown(found)]


def test_a_table_of_results_and_the_flips_of_each_candidate() -> None:
    assert texts(FOUND) == [
        "micro                     pass@1  95 % interval  solved  unsolved because",
        "  auto  float32 baseline  50.0%   15.7% – 84.3%  4/8     4 failed",
        "  int8  W8A8 native       50.0%   15.7% – 84.3%  4/8     3 failed · 1 timeout",
        "",
        "  int8 against auto: +0.0 pt [−46.7, +46.7], McNemar p = 1; unproven at a margin of 2 pt",
        "    1 regressed: micro/3",
        "    1 fixed: micro/4",
    ]


def test_a_benchmark_without_a_record_gets_one_line() -> None:
    assert shown(session("  ", "  ")) == [Line("micro: none of its 4 cases has a record", "red")]


def test_sources_of_the_cases_are_counted_where_they_are_fewer() -> None:
    facts = {**FOUND.benchmarks["micro"], "clusters": {"micro/0": "x", "micro/1": "x", "micro/2": "x", "micro/99": "y"}}

    assert (
        texts(replace(FOUND, benchmarks={"micro": facts}))[3] == "  8 problems from 6 sources; each source is one draw"
    )


@pytest.mark.parametrize(
    ("candidate", "evidence", "colour"),
    [
        ("-" * 200, "worse: the whole interval lies below −2 pt", "red"),
        ("+" * 200, "not worse: the whole interval lies above −2 pt", "green"),
    ],
)
def test_evidence_has_a_colour(candidate: str, evidence: str, colour: str) -> None:
    (line,) = (line for line in shown(session("+" * 200, candidate)) if "McNemar" in line.text)

    assert line.text.endswith(evidence)
    assert line.colour == colour


def test_lost_cases_are_shown_beside_the_solved_ones() -> None:
    assert texts(session("++", "  "))[2].endswith("0/2 (2 missing!)  –")
    assert shown(session("++", "  "))[-1] == Line(
        "  int8 against auto: no problem was evaluated under both recipes", "yellow"
    )


def test_a_recipe_that_was_stopped_early_has_no_interval() -> None:
    """The gates decide: an interval over problems that were not chosen in advance would be too narrow."""
    early = replace(
        FOUND, planned=[*FOUND.planned, ("int8", case(9))], decided={("int8", "micro"): "proven worse after 8 problems"}
    )
    text = texts(early)

    assert "  int8 was stopped early: proven worse after 8 problems" in text
    assert "  int8 against auto: +0.0 pt over 8 problems; the gates decide" in text
    assert "    1 regressed: micro/3" in text
    assert not any("McNemar" in line for line in text)
    (row,) = (line for line in text if line.startswith("  int8  "))
    assert "none: stopped early, after which no interval is valid" in row
    results = pass_rate_dict(summarize(early))["micro"]["results"]
    assert [results[name]["decided"] for name in ("auto", "int8")] == [None, "proven worse after 8 problems"]
    jsonschema.validate(report_dict(summarize(early), ()), json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_flips_are_shown_beside_those_of_the_control() -> None:
    again = [record("again", number, letter) for number, letter in enumerate("+++-----")]
    planned = [*FOUND.planned, *(("again", one.case) for one in again)]
    text = texts(replace(FOUND, planned=planned, records=[*FOUND.records, *again], control="again"))

    (line,) = (line for line in text if "in the control" in line)
    assert line.startswith("    2 flips, 1 in the control, 1 in both: +12.5 pt [")
    assert line.endswith("] above the control")


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [(["+", "-"], "a problem has fewer than 5 samples"), ([], "no problem was evaluated")],
    ids=["one sample", "no case"],
)
def test_recipes_may_have_different_numbers_of_samples(candidate: list[str], reason: str) -> None:
    """Beside a baseline of five samples stands a candidate of one, or one that never came to its first case."""
    records = [record("auto", number, "+++--") for number in range(2)]
    records += [record("int8", number, letters) for number, letters in enumerate(candidate)]

    text = texts(replace(session("++", "++"), records=records))

    (row,) = (line for line in text if line.startswith("  int8 ") and "against" not in line)
    assert "pass@5" in text[0]
    assert row[text[0].index("pass@5") :].split("  ", 1)[1].strip().startswith(reason)


def test_problems_that_are_all_solved_have_an_interval() -> None:
    """Two problems prove little, however many samples they have."""
    records = [record(name, number, "++") for name in ("auto", "int8") for number in range(2)]

    text = texts(replace(session("++", "++"), records=records))

    assert text[2] == "  int8  W8A8 native       100.0%  15.8% – 100.0%  2/2     –"


def test_the_report_has_results_and_comparisons_by_recipe() -> None:
    """Excluded problems are part of the facts about the data."""
    excluded = {"micro/90": "too slow"}
    facts = {**FOUND.benchmarks["micro"], "excluded": excluded}
    section = pass_rate_dict(summarize(replace(FOUND, benchmarks={"micro": facts})))["micro"]

    assert section["excluded"] == excluded
    assert section["results"]["int8"]["task_ids"]["solved"] == ["micro/0", "micro/1", "micro/2", "micro/4"]
    assert section["results"]["int8"]["failures"] == {"failed": 3, "timeout": 1}
    assert section["comparisons"]["int8"]["delta"]["value"] == 0
    assert section["comparisons"]["int8"]["regressed"] == ["micro/3"]
    assert section["comparisons"]["int8"]["excess"] is None
