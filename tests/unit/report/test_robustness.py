"""Robustness in the terminal and in the report."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.robustness import robustness_lines
from pytest_qeval.report.text import Line
from pytest_qeval.schema import HALF_LABEL
from pytest_qeval.summary.robustness import ALL
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.perturbed import BASE, NOMINAL, OWN, TABS, TYPOS, Outcomes, robust_session

HALVES: Outcomes = {HALF_LABEL: [NOMINAL], "tabs": [NOMINAL]}


def test_the_report_has_every_number() -> None:
    """By benchmark, recipe and scope, in the shape of the schema."""
    invalid = replace(TYPOS, invalid=1, reasons={"micro/7-typos-s1": "it does not compile"})
    report = report_dict(summarize(robust_session({**BASE, **HALVES}, {**OWN, **HALVES}, [invalid, TABS])), ())
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    section = report["robustness"]["micro"]["int8"]

    assert list(section) == ["typos", "tabs", "docstring", "format", ALL]
    typos = section["typos"]
    assert typos["robust_drop@1"]["value"] == pytest.approx(0.3)
    assert [typos[name] for name in ("applied", "unchanged", "repeated", "invalid")] == [12, 2, 1, 1]
    assert (typos["category"], typos["seeds"], typos["invalid_cases"]) == ("docstring", 3, invalid.reasons)
    assert typos["comparison"]["drop_increase"]["value"] == pytest.approx(0.2)
    assert typos["comparison"]["broken"] == ["micro/0", "micro/8"]
    assert (section[ALL]["category"], section[ALL]["applied"]) == (None, 24)
    assert report["robustness"]["micro"]["auto"]["typos"]["comparison"] is None


def test_cases_without_a_counterpart_are_counted() -> None:
    """As after a selection that leaves out the nominal cases."""
    alone = {"typos": ["+++"]}
    shown = list(robustness_lines(summarize(robust_session(alone, alone)), "micro"))

    assert (
        Line("  12 perturbed problems from 1 perturbation, of which 3 were selected; left out: 2 unchanged, 1 repeated")
        in shown
    )
    why = "the nominal case was not selected, or has another number of samples"
    assert Line(f"  3 cases without a nominal completion to compare with: {why}", "yellow") in shown
    assert Line("  int8 against auto: robust drop: no problem was evaluated under both recipes", "yellow") in shown


def test_scopes_that_are_worse_on_their_own_are_named() -> None:
    base = {"": ["+" * 80], "typos": ["+" * 80], "tabs": ["+" * 80], HALF_LABEL: ["+" * 80]}
    own = {**base, "typos": ["-" * 40 + "+" * 40]}
    shown = list(robustness_lines(summarize(robust_session(base, own, [TYPOS, TABS])), "micro"))

    assert Line("    worse on their own: typos, docstring", "red") in shown
    assert Line("    40 robust under auto only, 0 robust under int8 only") in shown


def test_a_long_diff_is_cut() -> None:
    """The report has all of it."""
    session = robust_session({"": ["+"], "typos": ["+"]}, {"": ["+"], "typos": ["-"]})
    diff = "\n".join(["--- nominal", "+++ typos", "@@ -1 +1 @@", "-old", *(f"+{number}" for number in range(13))])
    records = [replace(one, prompt_diff=diff) if one.prompt_diff else one for one in session.records]
    shown = list(robustness_lines(summarize(replace(session, records=records)), "micro"))

    at = shown.index(Line("      prompt:"))
    assert shown[at + 1 : at + 3] == [Line("        -old", "red"), Line("        +0", "green")]
    assert shown[at + 13] == Line("        … 2 more lines in report.json")
