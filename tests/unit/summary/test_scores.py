"""Answers that are scored: results, comparisons, report, terminal and gates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.terminal import lines
from pytest_qeval.schema import Estimate
from pytest_qeval.stats.paired import adjusted, paired_mean
from pytest_qeval.stats.scores import mean_score, sign_flip_p
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import scored, scored_session, session

BASE = [0.5, 0.25, 1.0, 0.0, 0.75, 0.5]
OWN = [0.5, 0.125, 0.75, 0.0, 1.0, 0.25]


def both() -> SummaryInput:
    """Make a session with a benchmark of either kind."""
    code, text = session("+++-", "++--"), scored_session(BASE, OWN)
    return replace(
        code,
        planned=[*code.planned, *text.planned],
        records=[*code.records, *text.records],
        benchmarks={**code.benchmarks, **text.benchmarks},
    )


def judged(summary: Summary, *expressions: str) -> tuple[GateResult, ...]:
    return judge([parse_gate(expression) for expression in expressions], summary, require_proof=False)


def test_where_the_baseline_scores_nothing_no_promise_is_kept() -> None:
    """Empty answers before and after must not look like no loss."""
    (gate,) = judged(summarize(scored_session([0.0] * 6, [0.0] * 6)), "bleu drop <= 1pt")

    assert gate.outcome == "fail"
    assert "auto itself has 0" in gate.reason


def test_means_and_differences_are_those_of_the_cases() -> None:
    summary = summarize(scored_session(BASE, OWN))
    _, own = summary.score_results
    (compared,) = summary.score_comparisons
    change = compared.changes["bleu"]

    assert own.means["bleu"] == mean_score(OWN)
    assert own.cases["text/1"] == {"bleu": 0.125, "chrf": 0.125}
    assert change.delta == paired_mean(BASE, OWN)
    assert change.p == sign_flip_p([own - base for base, own in zip(BASE, OWN, strict=True)])
    assert (change.higher, change.lower) == (1, 3)
    assert isinstance(change.relative_drop, Estimate)
    assert change.relative_drop.value == pytest.approx(1 - sum(OWN) / sum(BASE))
    assert isinstance(change.delta, Estimate)
    assert change.delta.low is not None
    assert change.relative_drop.high == pytest.approx(-change.delta.low / (sum(BASE) / 6))


def test_scored_cases_are_neither_solved_nor_unsolved() -> None:
    """A run of both kinds keeps them apart: pass rates are of what was executed."""
    summary = summarize(both())

    assert {result.benchmark for result in summary.results} == {"micro"}
    assert {result.benchmark for result in summary.score_results} == {"text"}
    assert [one.benchmark for one in summary.comparisons] == ["micro"]
    assert (summary.planned, summary.received) == (8 + 12, 8 + 12)


def test_p_values_of_both_kinds_are_corrected_together() -> None:
    summary = summarize(both())
    (flips,), (scores,) = summary.comparisons, summary.score_comparisons
    raw = [flips.mcnemar_p, *(change.p for change in scores.changes.values())]

    found = [flips.mcnemar_p_adjusted, *(change.p_adjusted for change in scores.changes.values())]
    assert found == pytest.approx(adjusted(raw))
    assert found != raw


def test_a_control_is_no_candidate() -> None:
    """It is compared, and its p-values correct nobody's."""
    material = scored_session(BASE, OWN)
    again = [scored("control", n, score) for n, score in enumerate(BASE)]
    planned = [*material.planned, *(("control", record.case) for record in again)]
    summary = summarize(replace(material, planned=planned, records=[*material.records, *again], control="control"))
    changes = {one.recipe: one.changes["bleu"] for one in summary.score_comparisons}

    assert changes["int8"].p_adjusted == pytest.approx(changes["int8"].p)
    assert changes["control"].p_adjusted == changes["control"].p == 1.0


def test_a_lost_case_is_missing_and_not_zero() -> None:
    summary = summarize(scored_session(BASE, [0.5, None, *OWN[2:]]))
    own = summary.score_results[1]
    (result,) = judged(summary, "bleu >= 0")

    assert (own.missing, len(own.cases)) == (1, 5)
    assert own.means["bleu"] == mean_score([0.5, *OWN[2:]])
    assert (result.outcome, result.reason) == ("fail", "1 cases are missing")


def test_a_benchmark_of_which_nothing_came_back_is_still_a_scored_one() -> None:
    """What the data said about themselves is enough."""
    summary = summarize(scored_session(BASE, [None] * 6))

    assert summary.results == ()
    assert [(one.recipe, one.missing) for one in summary.score_results] == [("auto", 0), ("int8", 6)]
    jsonschema.validate(report_dict(summary, []), json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_samples_count_by_their_mean_and_silence_is_counted() -> None:
    material = scored_session(BASE[:2], OWN[:2])
    records = [scored("int8", 0, 0.2, 0.4), scored("int8", 1, 0.0, answer="")]
    summary = summarize(replace(material, records=[*material.records[:2], *records]))
    own = summary.score_results[1]

    assert own.cases["text/0"]["chrf"] == pytest.approx(0.3)
    assert own.empty == 1


def test_energy_of_texts_is_not_shared_among_solved_problems() -> None:
    """It went into both, and nobody knows how much into which."""
    assert summarize(session("+++-", "++--")).efficiency["int8"].wh_per_solved is not None
    assert summarize(both()).efficiency["int8"].wh_per_solved is None


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
    (result,) = judged(summarize(scored_session(BASE, OWN)), expression)

    assert isinstance(result.observed, Estimate)
    assert (result.outcome, result.benchmark) == (outcome, "text")
    assert result.observed.value == pytest.approx(value)
    assert result.observed.low is not None


def test_gates_meet_benchmarks_of_their_kind_only() -> None:
    """Without a name, a pass rate is judged where there is one, and a score where there is one."""
    results = judged(summarize(both()), "pass@1 >= 0", "bleu >= 0", "micro:bleu >= 0")

    assert [(result.benchmark, result.outcome) for result in results] == [
        ("micro", "pass"), ("text", "pass"), ("micro", "fail"),
    ]  # fmt: skip
    assert results[2].reason == "no bleu of int8 on micro in this run"


def test_the_report_has_a_section_and_its_schema_knows_it() -> None:
    report = report_dict(summarize(both()), [])
    section = report["summarization"]["text"]

    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    assert list(report["benchmarks"]) == ["micro"]
    assert (section["results"]["int8"]["scored"], section["problems"]) == (6, 6)
    assert section["results"]["int8"]["bleu"]["value"] == pytest.approx(0.4375)
    assert section["comparisons"]["int8"]["bleu"]["lower"] == 3
    assert section["comparisons"]["int8"]["chrf"]["margin"] == 0.01


def test_the_terminal_shows_means_and_what_became_of_them() -> None:
    """Scores as they are usually written, from 0 to 100; both kinds in one summary."""
    text = [line.text for line in lines(summarize(both()), [], output=Path())]
    at = next(number for number, line in enumerate(text) if line.startswith("text "))

    assert text[at].split() == ["text", "BLEU", "95", "%", "interval", "chrF", "95", "%", "interval", "scored"]
    assert text[at + 1].startswith("  auto  float32 baseline  50.0  ")
    assert text[at + 2].startswith("  int8  W8A8 native       43.8  ")
    change = next(line for line in text if "int8 against auto: BLEU" in line)
    assert "BLEU −6.2 pt [" in change
    assert change.endswith("; unproven at a margin of 1 pt")
    assert any("1 higher, 3 lower; so many problems, moving as far, can rule out" in line for line in text)
