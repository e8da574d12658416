"""Workloads and whole problems in the terminal and in the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema

from pytest_qeval.facts import StreamFacts
from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.terminal import lines
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.measure.timings import BUSY, QUIET, problems, timing
from tests.unit.summary.builders import session

FOUND = session("++++----", "+++-+--t")


def timed(*, busy: Sequence[int] = (), beside: bool = True) -> SummaryInput:
    """Make a candidate that is twice as fast in every workload, with two problems."""
    names = {"auto": ("int8",), "int8": ("auto",)} if beside else {"auto": (), "int8": ()}
    workloads = ("prefill-128", "prefill-512", "decode-1", "decode-8", "decode-32")
    return replace(
        FOUND,
        timings=[
            timing(name, [0.1 if name == "auto" else 0.05] * 6, workload=workload, beside=others, busy=busy)
            for name, others in names.items()
            for workload in workloads
        ],
        problem_timings={
            name: problems(name, [0.1, 0.2, 0.3], beside=others, contention=BUSY if busy else QUIET)
            for name, others in names.items()
        },
    )


def texts(found: SummaryInput) -> list[str]:
    return [line.text.strip() for line in lines(summarize(found), (), output=Path())]


def test_every_workload_has_a_row_and_its_speed_up_another() -> None:
    """The baseline has no speed-up over itself."""
    found = texts(timed())
    rows = {row[0]: row[1:] for row in (line.split("  ") for line in found) if len(row) > 1}

    assert [part.strip() for part in rows["8 streams, ms per step"] if part] == [
        "100.0 (100.0 to 100.0)",
        "50.0 (50.0 to 50.0)",
    ]
    ratios = [line for line in found if line.startswith("times as fast as the baseline")]
    assert [line.split()[-4:] for line in ratios] == [["2.00", "(2.00", "to", "2.00)"]] * 5
    assert "int8, whole problems one at a time: 1 solved of 10 tokens, TTFT 1000 ms, 100.0 ms per token; " in "\n".join(
        found
    )


def test_contended_numbers_have_a_note() -> None:
    note = "contended (prefill-128, prefill-512, decode-1, decode-8, decode-32, problems), up to: other processes took"
    assert [line for line in texts(timed(busy=[0])) if "contended" in line] == [f"auto, int8 {note} 50% of the machine"]
    assert not any("contended" in line for line in texts(timed()))


def test_a_single_stream_alone_has_such_a_note_as_well() -> None:
    stream = StreamFacts(
        recipe="int8",
        prompt_tokens=8,
        new_tokens=2,
        prefill_s=(0.1,),
        decode_s=(0.02,),
        contended="it was busy",
    )

    assert "int8 contended (single stream), up to: it was busy" in texts(replace(FOUND, streams=[stream]))


def test_recipes_that_did_not_alternate_are_named() -> None:
    found = texts(timed(beside=False))

    assert "int8 did not fit beside auto: timed one after the other, not alternating" in found
    assert not any("not alternating" in line for line in texts(timed()))


def test_the_report_has_all_values_and_fits_its_schema() -> None:
    report = report_dict(summarize(timed(busy=[0])), ())
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    workload = report["efficiency"]["int8"]["timing"]["workloads"]["decode-8"]

    assert (workload["batch"], workload["rounds"]) == (8, [0, 1, 2, 3, 4, 5])
    assert workload["blocks"][0]["seconds"] == [0.05] * 3
    assert workload["blocks"][0]["contention"]["others"] == 0.5
    assert report["efficiency"]["int8"]["decode"]["latency_per_token_s"]["n"] == 18
    assert len(report["efficiency"]["int8"]["timing"]["problems"]["problems"]) == 3
