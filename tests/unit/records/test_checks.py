"""Messages of a file are either what their readers expect, or refused in a sentence that names the field."""

import copy
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from pytest_qeval.facts import BenchmarkFacts, RunHeader
from pytest_qeval.records.checks import decode_json, read_fields, read_message
from pytest_qeval.records.messages import RunStart, to_plain
from pytest_qeval.schema import Json, Record
from tests.unit.records.rows import MESSAGES, change
from tests.unit.summary.builders import HEADER, record, scored


def row_of(kind: str) -> Json:
    row: Json = next(json.loads(json.dumps(row)) for row in map(to_plain, MESSAGES) if row["type"] == kind)
    return row


def changed(kind: str, path: Sequence[str | int], value: Any) -> Json:
    row = row_of(kind)
    change(row, path, value)
    return row


@pytest.mark.parametrize(
    ("kind", "path", "value", "sentence"),
    [
        ("record", ["samples", 0, "n_tokens"], "abc", "samples[0].n_tokens: expected int or null, not 'abc'"),
        ("record", ["samples", 1, "execution", "status"], "fine", "'fine' is none of the possible values"),
        ("record", ["seed"], 1.5, "seed: expected int, not 1.5"),
        ("record", ["seed"], True, "seed: expected int, not True"),
        ("record", ["samples"], [], "samples: expected at least one"),
        ("record", ["outcome"], "unsolved", "outcome: 'unsolved' does not follow from the samples"),
        ("record", ["measurements"], {"x": None}, "measurements[...]: expected float, not null"),
        (
            "record",
            ["samples", 0, "ttft_s"],
            -0.1,
            "samples[0].ttft_s: expected a number that is not negative, not -0.1",
        ),
        ("stream", ["decode_s", 1], -1, "decode_s[1]: expected a number that is not negative, not -1"),
        ("generation", ["new_tokens"], -1, "new_tokens: expected a number that is not negative"),
        ("generation", ["busy_s"], math.nan, "busy_s: expected a finite number of usual size, not nan"),
        ("generation", ["busy_s"], math.inf, "busy_s: expected a finite number of usual size, not inf"),
        ("generation", ["busy_s"], 5e-324, "busy_s: expected a finite number of usual size, not 5e-324"),
        ("generation", ["busy_s"], 10**25, "busy_s: expected a finite number of usual size, not 1000"),
        ("generation", ["energy", "method"], None, "energy.method: expected str, not null"),
        ("recipe", ["role"], "boss", "role: 'boss' is none of the possible values"),
        ("divergence", ["problems", 0, "tokens"], 0, "problems[0].tokens: expected at least 1, not 0"),
        ("scores", ["k"], "many", "k: expected int, not 'many'"),
        ("scores", ["texts", 0, "top_ids", 0, 1], "a", "texts[0].top_ids[0][1]: expected int, not 'a'"),
        ("scores", ["texts", 0, "top_ids"], [], "the scores of micro/0 have lists of different lengths"),
        ("scores", ["texts", 0, "top_log_probs", 0, 0], 0.1, "texts: a log-probability of micro/0 is above 0"),
        ("decision", ["outcome"], "maybe", "outcome: 'maybe' is none of the possible values"),
        ("decision", ["reason"], 3, "reason: expected str, not 3"),
        ("run", ["model"], 3, "model: expected object, not 3"),
        ("run", ["model"], {}, "model.id: is missing"),
        ("run", ["generation", "temperature"], "hot", "generation.temperature: expected float, not 'hot'"),
        ("run", ["saved_baseline"], {"path": 5}, "saved_baseline.path: expected str, not 5"),
        ("recipe", ["layers"], [3], "layers[0]: expected object, not 3"),
        ("recipe", ["layers"], [{}], "layers[0].name: is missing"),
        ("recipe", ["calibration"], {}, "calibration.duration_s: is missing"),
        ("invalid", ["perturbation"], 1, "perturbation: expected str or null, not 1"),
        ("plan", ["cases", 0, "seed"], "0", "cases[0].seed: expected int, not '0'"),
        ("benchmark", ["problems"], "many", "problems: expected int, not 'many'"),
        ("benchmark", ["excluded", "micro/9"], 3, "excluded[...]: expected str, not int"),
        ("benchmark", ["type"], 3, "type: expected str, not 3"),
    ],
)
def test_a_wrong_field_is_named(kind: str, path: list[str | int], value: object, sentence: str) -> None:
    """Kind, range and meaning of every field are checked, and the sentence says where and what."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_message(changed(kind, path, value))


@pytest.mark.parametrize("kind", ["record", "recipe", "generation", "stream", "sensitivity", "divergence", "benchmark"])
def test_a_missing_field_is_named(kind: str) -> None:
    """A field without a default cannot be left out."""
    for name in ("recipe", "name"):
        row = row_of(kind)
        if row.pop(name, None) is not None:
            with pytest.raises(ValueError, match=f"^{name}: is missing$"):
                read_message(row)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("record", ["shots"]),
        ("record", ["samples", 0, "shots"]),
        ("record", ["samples", 0, "execution", "shots"]),
        ("generation", ["energy", "shots"]),
        ("sensitivity", ["blocks", 0, "shots"]),
        ("benchmark", ["shots"]),
        ("run", ["shots"]),
    ],
)
def test_an_unknown_field_is_refused(kind: str, path: list[str | int]) -> None:
    """It may change what the fields beside it mean: a verdict must not rest on half of a message."""
    with pytest.raises(ValueError, match="shots: is unknown; if a newer version wrote it, update pytest-qeval"):
        read_message(changed(kind, path, 5))


def test_objects_that_are_open_may_hold_more() -> None:
    """What describes a model, a host or a layer grows without a new schema."""
    run = read_message(changed("run", ["host", "shots"], 5))

    assert isinstance(run, RunStart)
    assert run.host["shots"] == 5
    assert read_message(changed("recipe", ["layers", 0, "shots"], 5))


def test_an_unknown_type_is_ignored() -> None:
    """A newer version may write more than this version understands."""
    assert read_message({"type": "weather", "recipe": ["int8"], "rain": [{"mm": math.inf}]}) is None


def test_what_an_older_version_did_not_write_gets_its_default() -> None:
    """A field that came later does not make older files unreadable."""
    row = row_of("run")
    del row["saved_baseline"], row["baseline_model"]
    assert read_message(row) == RunStart(**asdict(HEADER), planned=16)
    row = row_of("benchmark")
    del row["excluded"]
    facts = read_message(row)
    assert isinstance(facts, BenchmarkFacts)
    assert facts.excluded == {}


@pytest.mark.parametrize("row", [None, 3, "record", [], [{"type": "record"}], {}, {"recipe": "int8"}])
def test_what_is_no_message_is_refused(row: object) -> None:
    """A message is an object with a type."""
    with pytest.raises(ValueError, match="expected"):
        read_message(row)


def test_a_header_is_checked_like_a_message() -> None:
    """A baseline's `run` is a `RunHeader`, no more and no less."""
    assert read_fields(asdict(HEADER), RunHeader) == HEADER
    with pytest.raises(ValueError, match=r"^engine: expected str, not 3$"):
        read_fields({**asdict(HEADER), "engine": 3}, RunHeader)
    with pytest.raises(ValueError, match=r"^planned: is unknown"):
        read_fields({**asdict(HEADER), "planned": 3}, RunHeader)


def test_a_check_leaves_its_argument_alone() -> None:
    """Whoever hands over a message still has it."""
    row = row_of("record")
    before = copy.deepcopy(row)
    read_message(row)
    assert row == before


def test_a_scored_case_has_its_scores() -> None:
    """Each from 0 to 1; and what is executed cannot be scored as well."""
    row = to_plain(scored("int8", 0, 0.25, 0.5))
    executed = to_plain(record("int8", 0, "+"))["samples"]

    found = read_message(row)
    assert isinstance(found, Record)
    assert found.outcome == "scored"
    for changes, sentence in (
        ({"measurements": {"bleu": 0.5}}, "measurements.chrf: expected a number from 0 to 1, not null"),
        ({"measurements": {"bleu": 1.5, "chrf": 0}}, "measurements.bleu: expected a number from 0 to 1, not 1.5"),
        ({"outcome": "solved"}, "outcome: 'solved' does not follow from the samples"),
        ({"samples": [*row["samples"], *executed]}, "outcome: 'scored' does not follow from the samples"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            read_message({**row, **changes})


def test_depth_has_an_end() -> None:
    """What is too deep to be copied safely is refused, however deep the parser can go."""
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(ValueError, match="at most 32 levels"):
        read_message(changed("run", ["host", "cpu"], deep))


@pytest.mark.parametrize(
    "text",
    [b"", b"NaN", b"[Infinity]", b"1e999", b'"\xff"', b'"\\ud800"', b"{} {}", b"1" * 5000, b"[" * 200_000],
    ids=["empty", "nan", "infinity", "overflow", "utf-8", "surrogate", "two", "long", "deep"],
)
def test_loose_json_is_refused(text: bytes) -> None:
    """What Python's own parser lets through, or chokes on, is a `ValueError` of one line."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        decode_json(text)
