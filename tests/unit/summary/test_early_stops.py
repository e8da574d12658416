"""After an early stop no interval and no p-value is left, in any value that an outcome of the problems went into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace

import pytest

from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import record, session

STOP = {("int8", "micro"): "proven worse by a sequential test"}


def stopped(found: SummaryInput) -> Summary:
    return summarize(replace(found, decided=STOP))


def estimates(value: object) -> Iterator[Estimate]:
    """Yield every estimate inside of a value."""
    if isinstance(value, Estimate):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from estimates(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from estimates(getattr(value, field.name))


@pytest.mark.parametrize("samples", [1, 5])
def test_no_interval_and_no_p_value_is_left(samples: int) -> None:
    """Of the recipe's own rates, and of all that compares it; the observed values stay, and so do others' intervals."""
    outcomes = {"auto": "+++++---", "int8": "++---+--", "again": "++++----"}
    records = [
        record(name, number, letter * samples) for name, row in outcomes.items() for number, letter in enumerate(row)
    ]
    found = session(outcomes["auto"], outcomes["int8"])
    planned = [*found.planned, *(("again", one.case) for one in records if one.recipe == "again")]
    found = replace(found, records=records, planned=planned, control="again")
    before, after = summarize(found), stopped(found)

    (whole,) = (one for one in before.comparisons if one.recipe == "int8")
    (compared,) = (one for one in after.comparisons if one.recipe == "int8")
    assert all(one.low is not None for one in estimates(whole))
    assert [(one.value, one.n) for one in estimates(compared)] == [(one.value, one.n) for one in estimates(whole)]
    assert {(one.low, one.high, one.method) for one in estimates(compared)} == {
        (None, None, "stopped early, after which no interval is valid")
    }
    assert compared.excess is not None
    assert (compared.mcnemar_p, compared.mcnemar_p_adjusted, compared.excess.p) == (None, None, None)
    assert (compared.evidence, compared.detectable_drop) == ("unproven", None)
    rates = {one.recipe: [value.low is not None for value in estimates(one)] for one in after.results}
    assert {name: any(known) for name, known in rates.items()} == {"auto": True, "int8": False, "again": True}


def test_what_has_no_p_value_is_no_comparison_to_correct_for() -> None:
    """Of two candidates, the one that was stopped leaves the other's p-value as it is."""
    found = session("+" * 12, "-" * 12)
    other = [record("w4a16", number, "-" if number < 6 else "+") for number in range(12)]
    planned = [*found.planned, *(("w4a16", one.case) for one in other)]
    both = replace(found, planned=planned, records=[*found.records, *other], candidates=("int8", "w4a16"))

    kept = next(one for one in stopped(both).comparisons if one.recipe == "w4a16")
    assert kept.mcnemar_p_adjusted == kept.mcnemar_p == pytest.approx(2 / 2**6)


def test_a_gate_beside_the_decided_one_proves_nothing() -> None:
    """The observed value has no interval, so nothing but the sequential decision can be evidence."""
    summary = stopped(session("+" * 60, "-" * 60))
    (result,) = judge([parse_gate("pass@1 drop <= 2pt")], summary, require_proof=False)

    assert (result.outcome, result.evidence) == ("fail", "unproven")


def test_lengths_have_no_interval_either() -> None:
    """They are of the same problems, whose number depends on how they went."""
    lengths = stopped(session("+" * 12, "-" * 12)).lengths
    (compared,) = lengths.comparisons
    own = next(one.lengths for one in lengths.results if one.recipe == "int8")

    found = (
        *(compared.token_ratio, compared.truncated_increase, compared.loops_increase),
        *(own.tokens, own.truncated.share, own.loops.share, compared.of_baseline.tokens),
    )
    assert all(isinstance(one, Estimate) and one.low is None and one.high is None for one in found)
