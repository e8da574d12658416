"""What the choice among several candidates costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.report.terminal import lines
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.selection import Selection, selection_of
from pytest_qeval.summary.summarize import summarize
from pytest_qeval.verdict.gates.grammar import Gate, parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import record, session, session_of_both_kinds

DROP = parse_gate("pass@1 drop <= 2pt")


def run(*candidates: str, control: str | None = None) -> Summary:
    """Summarize a run whose candidates, and a control, solved what the baseline did."""
    found = session("++--", "++--")
    more = [record(name, number, "+") for name in (*candidates, control) if name for number in range(4)]
    records = [one for one in found.records if one.recipe == "auto"] + more
    planned = [(one.recipe, one.case) for one in records]
    return summarize(replace(found, records=records, planned=planned, candidates=candidates, control=control))


def selection(summary: Summary, *gates: Gate) -> Selection | None:
    return selection_of(summary, judge(gates, summary, require_proof=False))


@pytest.mark.parametrize(("m", "chance"), [(2, 0.05), (3, 0.075), (50, 1.0)])
def test_the_chance_adds_up_over_candidates(m: int, chance: float) -> None:
    """With or without ordinary gates on them."""
    summary = run(*(f"w{number}" for number in range(m)))

    for gates in ((), (DROP,), (DROP, parse_gate("pass@1 drop <= 5pt"))):
        found = selection(summary, *gates)
        assert found is not None
        assert (found.comparisons, found.primary) == (m, ())
        assert found.chance == pytest.approx(chance)


def test_there_is_no_choice_of_one() -> None:
    """The control is no candidate."""
    assert selection(run("int8", control="again"), DROP) is None
    assert selection(run(), DROP) is None


def test_every_measure_is_a_comparison() -> None:
    """Two candidates on a benchmark that is executed, one of them also on one with two scores."""
    both = session_of_both_kinds()
    more = [record("w4a16", number, "+") for number in range(4)]
    found = replace(
        both,
        records=[*both.records, *more],
        planned=[*both.planned, *((one.recipe, one.case) for one in more)],
        candidates=("int8", "w4a16"),
    )

    chosen = selection(summarize(found))
    assert chosen is not None
    assert chosen.comparisons == 2 + 2


def test_a_primary_gate_is_what_the_choice_is_about() -> None:
    """Of three candidates only the one that it judges counts."""
    gates = (replace(DROP, recipe="w1", primary=True), parse_gate("regressed <= 2"))

    found = selection(run("w0", "w1", "w2"), *gates)
    assert found is not None
    assert (found.comparisons, found.primary) == (1, ("pass@1 drop <= 2pt (w1, micro)",))
    assert found.chance == pytest.approx(0.025)


def test_a_sequential_test_errs_twice_as_often() -> None:
    """Once at its last look, and once at all the others."""
    summary = replace(run("w0", "w1"), decided={("w0", "micro"): "proven not worse"})
    found = selection(summary)

    assert found is not None
    assert found.chance == pytest.approx(0.075)


@pytest.mark.parametrize(
    ("gate", "line"),
    [
        (
            DROP,
            (
                "  2 comparisons: in up to 5.0 % of runs at least one is wrongly called not worse. If one of them "
                "decides, make it the primary gate (primary = true in a gate file)"
            ),
        ),
        (
            replace(DROP, recipe="w0", primary=True),
            (
                "  primary gate: pass@1 drop <= 2pt (w0, micro); in up to 2.5 % of runs wrongly called not worse. All "
                "other evidence is exploratory"
            ),
        ),
    ],
    ids=["none", "one"],
)
def test_the_summary_has_one_line_on_it(gate: Gate, line: str) -> None:
    summary = run("w0", "w1")
    gates = judge([gate], summary, require_proof=False)

    assert line in [one.text for one in lines(summary, gates, output=Path())]
