"""The throughput of the evaluation, and what its time went into."""

from __future__ import annotations

import pytest

from pytest_qeval.facts import TimelineFacts
from pytest_qeval.report.throughput import throughput_dict, throughput_lines
from pytest_qeval.summary.throughput import summarize_throughput
from tests.unit.summary.builders import record

MAIN = TimelineFacts(
    worker="main",
    begun_s=1.0,
    bucket_s=30.0,
    phases={"loading": (15.0, 0.0), "decode": (10.0, 20.0), "programs": (0.0, 3.0)},
    new_tokens=(100, 500),
    cases=4,
)
RECORDS = [record("int8", number, "+") for number in range(4)]


def test_rates_are_over_the_wall_time_and_shares_add_up() -> None:
    found = summarize_throughput([MAIN], RECORDS, wall_s=60.0)

    assert found is not None
    assert (found.cases_per_min, found.tokens_per_s) == (4.0, 10.0)
    assert found.shares == pytest.approx({"loading": 0.25, "decode": 0.5, "programs": 0.05, "other": 0.2})
    (line,) = throughput_lines(found)
    assert line.text == (
        "evaluation: 1:00 · 4 problems/min · 10 tokens/s · loading 25%, decode 50%, waiting for programs 5%, other 20% "
        "(programs ran for 0.04 s)"
    )
    assert (throughput_dict(found) or {})["timeline"][0]["phases"]["loading"] == [15.0, 0.0]


def test_of_several_workers_shares_are_means() -> None:
    found = summarize_throughput([MAIN, MAIN], RECORDS, wall_s=60.0)

    assert found is not None
    assert (found.cases, found.tokens_per_s) == (8, 20.0)
    assert found.shares["decode"] == pytest.approx(0.5)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_nothing_evaluated_is_no_throughput() -> None:
    assert summarize_throughput([], RECORDS, wall_s=60.0) is None
    assert list(throughput_lines(None)) == []
    assert throughput_dict(None) is None
