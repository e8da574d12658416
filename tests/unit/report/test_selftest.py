"""How a self-test is told, from its plan and records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from pytest_qeval.benchmarks.selftest import NAME, RECIPES
from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.selftest import selftest_lines
from pytest_qeval.report.terminal import Line, lines
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.summary.results import SelftestResult
from pytest_qeval.summary.selftest import selftest_results
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import HEADER, case, record

GOOD = {"reference": "++", "empty": "--", "constant": "--", "spoof": "-t"}


def material(**outcomes: str) -> SummaryInput:
    """Make a self-test of two problems from one letter a problem; a blank is a lost case."""
    told = GOOD | outcomes
    records = [
        record(recipe, number, letter)
        for recipe, letters in told.items()
        for number, letter in enumerate(letters)
        if letter != " "
    ]
    return SummaryInput(
        run=replace(HEADER, model={"id": NAME, "source": NAME}, engine="replay"),
        duration_s=1.0,
        planned=[(recipe, case(number)) for recipe in RECIPES for number in range(2)],
        records=records,
        candidates=tuple(RECIPES),
        baseline=None,
        recipes={},
        benchmarks={"micro": {"version": "1", "sha256": "0" * 64, "problems": 2, "excluded": {"micro/9": "slow"}}},
    )


def told(found: SummaryInput) -> list[Line]:
    return list(lines(summarize(found), (), output=Path("out")))


def report(found: SummaryInput) -> Json:
    row = json.loads(json.dumps(report_dict(summarize(found), ())))
    jsonschema.validate(row, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    return dict(row)


def test_a_sound_harness_is_one_green_line() -> None:
    """In place of scores, comparisons and a verdict that nobody has reached; what is left out is said as ever."""
    found = told(material())

    assert found[1:] == [
        Line(""),
        Line("self-test: micro: 2 of 2 references pass, 6 of 6 broken bodies fail", "green"),
        Line("  micro: 1 of 3 problems left out: micro/9 (slow)"),
        Line("report: out/report.json"),
    ]


def test_what_is_wrong_is_named_in_red() -> None:
    """A wrong reference, and a body that fooled the judge."""
    found = told(material(reference="+-", spoof="+-"))

    assert found[2:4] == [
        Line("self-test: micro: 1 of 2 references pass, 5 of 6 broken bodies fail", "red"),
        Line("  not as expected: micro/1 (reference), micro/0 (spoof)", "red"),
    ]


def test_a_lost_case_is_no_success() -> None:
    """The denominator is the plan."""
    found = told(material(reference="+ "))

    assert found[2] == Line("self-test: micro: 1 of 2 references pass, 6 of 6 broken bodies fail", "red")
    assert Line("1 of 8 cases are missing", "red") in found


def test_nothing_asked_is_said() -> None:
    """A self-test that tested nothing shows no green line."""
    assert Line("self-test: no problem was asked", "yellow") in told(replace(material(), planned=[], records=[]))


def test_long_lists_are_cut() -> None:
    """A harness that is broken altogether has a line that fits, and a report that has it all."""
    keys = [("reference", case(number)) for number in range(20)]
    records: dict[tuple[str, Case], Record] = {key: record("reference", at, "-") for at, key in enumerate(keys)}
    result = selftest_results(keys, records)

    assert len(result["micro"].wrong) == 20
    assert [text for text, _ in selftest_lines(result)][1].endswith("micro/11 (reference) … and 8 more")


def test_benchmarks_are_told_apart() -> None:
    """MBPP has two forms with the same task ids."""
    other = replace(case(0), benchmark="other")
    found = {("reference", case(0)): record("reference", 0, "+")}

    assert selftest_results([("reference", case(0)), ("reference", other)], found) == {
        "micro": SelftestResult(references=1, references_passed=1, broken=0, broken_failed=0, wrong=()),
        "other": SelftestResult(references=1, references_passed=0, broken=0, broken_failed=0, wrong=()),
    }


def test_the_report_holds_it() -> None:
    """And null where a model was evaluated."""
    assert report(material(empty="-+"))["selftest"] == {
        "micro": {
            "references": 2,
            "references_passed": 2,
            "broken": 6,
            "broken_failed": 5,
            "wrong": ["micro/1 (empty)"],
        }
    }
    assert report(replace(material(), run=HEADER))["selftest"] is None
