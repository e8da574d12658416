"""Scored benchmarks in the terminal and in the report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.report.scores import score_dict, score_lines
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import scored_session, session_of_both_kinds

SUMMARY = summarize(session_of_both_kinds())


def test_the_report_has_a_section_by_benchmark() -> None:
    section = score_dict(SUMMARY)["text"]

    assert (section["results"]["int8"]["scored"], section["problems"]) == (6, 6)
    assert section["results"]["int8"]["bleu"]["value"] == pytest.approx(0.4375)
    assert section["results"]["int8"]["cases"]["text/1"] == {"bleu": 0.125, "chrf": 0.125}
    assert section["comparisons"]["int8"]["baseline"] == "auto"
    assert section["comparisons"]["int8"]["bleu"]["lower"] == 3
    assert section["comparisons"]["int8"]["chrf"]["margin"] == 0.01
    assert "scored" not in section


def test_the_terminal_shows_means_and_changes() -> None:
    """Scores are shown from 0 to 100, as usual."""
    text = [line.text for line in score_lines(SUMMARY, "text")]

    assert text[0].split() == ["text", "BLEU", "95", "%", "interval", "chrF", "95", "%", "interval", "scored"]
    assert text[1].startswith("  auto  float32 baseline  50.0  ")
    assert text[2].startswith("  int8  W8A8 native       43.8  ")
    change = next(line for line in text if "int8 against auto: BLEU" in line)
    assert "BLEU −6.2 pt [" in change
    assert change.endswith("; unproven at a margin of 1 pt")
    assert "    1 higher, 3 lower" in text


def test_a_benchmark_without_a_record_gets_one_line() -> None:
    summary = summarize(scored_session([0.5, 0.5], [None, None]))
    lost = tuple(one for one in summary.score_results if one.recipe == "int8")
    (line,) = score_lines(replace(summary, score_results=lost), "text")

    assert line.text == "text: none of its 2 cases has a record"


def test_sources_of_the_cases_are_counted() -> None:
    found = session_of_both_kinds()
    facts = {**found.benchmarks["text"], "clusters": {"text/0": "module", "text/5": "module"}}
    summary = summarize(replace(found, benchmarks={**found.benchmarks, "text": facts}))

    assert "  6 problems from 5 sources; each source is one draw" in [
        line.text for line in score_lines(summary, "text")
    ]


def test_lost_cases_and_missing_pairs_are_shown() -> None:
    summary = summarize(scored_session([0.5, 0.5], [None, None]))
    shown = [(line.text, line.colour) for line in score_lines(summary, "text")]

    assert shown[2][0].endswith("0 (2 missing!)")
    assert ("  int8 against auto: BLEU no problem was evaluated under both recipes", "yellow") in shown
