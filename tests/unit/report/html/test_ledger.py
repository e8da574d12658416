"""What the page carries of every case, and what is left out where there is no room."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from hashlib import sha256

import pytest

from pytest_qeval.report.html.ledger import Entry, Payload, entries_of, pack
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.hostile_texts import HOSTILE, hostile_session
from tests.unit.summary.builders import record, scored_session, session


def entries(found: SummaryInput) -> tuple[Entry, ...]:
    return entries_of(summarize(found), {(one.recipe, one.case): one for one in found.records})


def unpack(payload: Payload) -> list[Json]:
    """Inflate as the page does."""
    rows: list[Json] = json.loads(gzip.decompress(base64.b64decode(payload.text)))
    return rows


def test_kinds_are_by_both_outcomes() -> None:
    kinds = {one.case.task_id: one.kind for one in entries(session("+-+-?+", "-++-+ "))}

    assert kinds == {
        "micro/0": "regressed",
        "micro/1": "fixed",
        "micro/2": "both solved",
        "micro/3": "both unsolved",
        "micro/4": "not compared",
    }


def test_scored_cases_have_their_scores() -> None:
    (row, *_) = unpack(pack(entries(scored_session([0.5], [0.25]))))

    assert (row["kind"], row["own"]["scores"]) == ("scored", ["bleu 25.0", "chrf 25.0"])


def test_without_a_baseline_every_recipe_is_shown_alone() -> None:
    found = entries(replace(session("+", "-"), baseline=None))

    assert [(one.recipe, one.kind, one.base) for one in found] == [
        ("auto", "not compared", None),
        ("int8", "not compared", None),
    ]


def test_samples_that_tell_the_difference_are_shown_first() -> None:
    """Of a regressed problem the baseline's first that passed, and the candidate's first that did not."""
    found = session("", "")
    records = {("auto", Case(benchmark="micro", task_id="micro/0")): record("auto", 0, "-++")}
    records |= {("int8", one.case): one for one in (record("int8", 0, "-t-"),)}
    (row,) = unpack(pack(entries_of(summarize(found), records)))

    assert row["at"] == [1, 0]
    assert [row["base"]["passed"], row["own"]["passed"]] == [2, 0]
    assert row["own"]["samples"][1] == ["pass", "timeout", "5 s", 11]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_arrives_as_text(text: str) -> None:
    """In base64, of which nothing can be read as HTML; visible, and not too long."""
    payload = pack(entries(hostile_session(text)))

    assert payload.text.isascii()
    assert "<" not in payload.text
    for row in unpack(payload):
        shown = row["own"]["samples"][0][0]
        assert shown.startswith("int8 ")
        assert len(shown) < 21_000
        assert not {"\0", "\x1b", "\u202e", "\u200b", "\ud800"} & {*shown}


def _long(outcome: str, number: int) -> Record:
    """Return a record whose text cannot be compressed."""
    found = record("int8", number, outcome)
    (sample,) = found.samples
    text = "".join(sha256(f"{number} {at}".encode()).hexdigest() for at in range(60))
    return replace(found, samples=(replace(sample, completion=replace(sample.completion, text=text)),))


def test_flips_are_kept_where_there_is_no_room_for_all() -> None:
    outcomes = "+" * 15 + "-" * 5
    base = {("auto", one.case): one for one in (record("auto", number, "+") for number in range(20))}
    own = {("int8", one.case): one for one in (_long(letter, number) for number, letter in enumerate(outcomes))}
    payload = pack(entries_of(summarize(session("", "")), {**base, **own}), most_bytes=40_000)
    kept = unpack(payload)

    assert len(payload.text) <= 40_000
    assert payload.left_out == 20 - len(kept) > 0
    assert payload.entries == len(kept)
    assert [row["kind"] for row in kept[:5]] == ["regressed"] * 5
