"""Messages of a file are either what their readers expect, or refused in a sentence that names the field."""

import copy
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from pytest_qeval.facts import BlockSensitivity, GenerationFacts, RecipeFacts, RunHeader, SensitivityFacts, StreamFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence
from pytest_qeval.records.checks import check_header, check_message, check_plain, decode
from pytest_qeval.schema import Json, Record
from tests.unit.summary.builders import HEADER, INT8, case, generation, record, scored

LAYER: Json = {
    "name": "model.layers.0.mlp.up_proj",
    "shape": (64, 32),
    "bits": 8,
    "granularity": "per_channel",
    "kept": False,
    "execution": "native",
    "bytes_before": 8192,
    "bytes_after": 2304,
    "note": "",
}
RECIPE = replace(INT8, layers=(LAYER,), calibration={"source": "stdlib", "duration_s": 2.5}, notes=("a note",))
STREAM = StreamFacts(recipe="int8", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.03))
SENSITIVITY = SensitivityFacts(
    recipe="int8",
    texts=1,
    tokens=9,
    duration_s=1.0,
    blocks=(BlockSensitivity(name="b0", layers=7, kl=0.1, same_top1=0.9),),
)
DIVERGENCE = DivergenceFacts(
    recipe="int8",
    baseline="auto",
    benchmark="micro",
    k=32,
    problems=(
        ProblemDivergence(
            task_id="micro/0",
            tokens=3,
            kl=0.1,
            reverse_kl=0.1,
            same_top1=3,
            delta_p=-0.2,
            delta_p_squared=0.04,
            baseline_log_prob=-1.5,
            candidate_log_prob=-1.7,
        ),
    ),
    kl_percentiles={"p50": 0.03},
    delta_p_percentiles={"p50": -0.1},
    duration_s=0.5,
    incomparable=0,
)
TEXT: Json = {
    "task_id": "micro/0",
    "tokens_sha256": "0" * 64,
    "choices": [4],
    "top_ids": [[4, 5]],
    "top_log_probs": [[-0.1, -3.0]],
    "tail_log_probs": [-4.0],
    "reference_log_probs": [-0.1],
}
MESSAGES: Sequence[Json] = (
    record("int8", 0, "+-").to_dict(),
    {"type": "recipe", **asdict(RECIPE)},
    {"type": "generation", **asdict(generation("int8", tokens=100, busy_s=1.0, energy_wh=0.1))},
    {"type": "stream", **asdict(STREAM)},
    {"type": "sensitivity", **asdict(SENSITIVITY)},
    {"type": "divergence", **asdict(DIVERGENCE)},
    {
        "type": "benchmark",
        "name": "micro",
        "version": "1",
        "sha256": "0" * 64,
        "problems": 89,
        "excluded": {"micro/9": "no plain value"},
        "scored": False,
    },
    {
        "type": "scores",
        "recipe": "int8",
        "benchmark": "micro",
        "k": 32,
        "texts": [TEXT],
        "incomparable": [],
        "duration_s": 1.0,
    },
    {
        "type": "decision",
        "gate": "pass@1 >= 0",
        "recipe": "int8",
        "benchmark": "micro",
        "outcome": "pass",
        "evidence": "not worse",
        "reason": "sure",
    },
    {"type": "run", **asdict(HEADER), "planned": 16},
    {
        "type": "plan",
        "candidates": ["int8"],
        "baseline": "auto",
        "control": None,
        "conditions": {"engine": "transformers"},
        "cases": [{"recipe": "int8", **asdict(case(0))}],
    },
)


def message(kind: str) -> Json:
    row: Json = next(json.loads(json.dumps(row)) for row in MESSAGES if row["type"] == kind)
    return row


def changed(kind: str, path: Sequence[str | int], value: Any) -> Json:
    row: Any = message(kind)
    inside = row
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return dict(row)


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row["type"])
def test_what_a_run_writes_is_accepted(row: Json) -> None:
    """A message that went through JSON says the same as before."""
    checked = check_message(json.loads(json.dumps(row)))
    assert json.loads(json.dumps(checked)) == json.loads(json.dumps(row))


def test_a_checked_message_makes_the_value_it_was_made_of() -> None:
    """Nothing is lost between a value, its file and the value read from there."""
    bodies = {
        row["type"]: {k: v for k, v in check_message(message(row["type"])).items() if k != "type"} for row in MESSAGES
    }
    assert Record.from_dict(bodies["record"]) == record("int8", 0, "+-")
    assert RecipeFacts.from_dict(bodies["recipe"]).notes == RECIPE.notes
    assert GenerationFacts.from_dict(bodies["generation"]) == generation("int8", tokens=100, busy_s=1.0, energy_wh=0.1)
    assert StreamFacts.from_dict(bodies["stream"]) == STREAM
    assert SensitivityFacts.from_dict(bodies["sensitivity"]) == SENSITIVITY
    assert DivergenceFacts.from_dict(bodies["divergence"]) == DIVERGENCE


@pytest.mark.parametrize(
    ("kind", "path", "value", "sentence"),
    [
        ("record", ["samples", 0, "n_tokens"], "abc", "samples[0].n_tokens: expected int or null, not 'abc'"),
        ("record", ["samples", 1, "execution", "status"], "fine", "'fine' is none of the possible values"),
        ("record", ["seed"], 1.5, "seed: expected int, not 1.5"),
        ("record", ["seed"], True, "seed: expected int, not True"),
        ("record", ["samples"], [], "samples: expected at least one"),
        ("record", ["outcome"], "unsolved", "outcome: the samples do not say 'unsolved'"),
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
        ("recipe", ["layers", 0, "bits"], "8", "layers[0].bits: expected float, not '8'"),
        ("recipe", ["layers", 0, "shape"], [1], "layers[0].shape: "),
        ("recipe", ["calibration"], {}, "calibration.duration_s: is missing"),
        ("recipe", ["role"], "boss", "role: 'boss' is none of the possible values"),
        ("divergence", ["problems", 0, "tokens"], 0, "problems[0].tokens: expected at least 1, not 0"),
        ("scores", ["k"], "many", "k: expected int, not 'many'"),
        ("scores", ["texts", 0, "top_ids", 0, 1], "a", "texts[0].top_ids[0][1]: expected int, not 'a'"),
        ("scores", ["texts", 0, "top_ids"], [], "the scores of micro/0 have lists of different lengths"),
        ("scores", ["texts", 0, "top_log_probs", 0, 0], 0.1, "texts: a log-probability of micro/0 is above 0"),
        ("decision", ["outcome"], "maybe", "outcome: 'maybe' is none of the possible values"),
        ("decision", ["reason"], 3, "reason: expected str, not 3"),
        ("plan", ["cases", 0, "seed"], "0", "cases[0].seed: expected int, not '0'"),
        ("run", ["model"], {}, "model.id: is missing"),
        ("run", ["generation", "temperature"], "hot", "generation.temperature: expected float, not 'hot'"),
        ("benchmark", ["problems"], "many", "problems: expected int, not 'many'"),
        ("benchmark", ["excluded", "micro/9"], 3, "excluded[...]: expected str, not int"),
        ("benchmark", ["type"], 3, "type: expected str, not 3"),
    ],
)
def test_a_wrong_field_is_named(kind: str, path: list[str | int], value: object, sentence: str) -> None:
    """Kind, range and meaning of every field are checked, and the sentence says where and what."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check_message(changed(kind, path, value))


@pytest.mark.parametrize("kind", ["record", "recipe", "generation", "stream", "sensitivity", "divergence", "benchmark"])
def test_a_missing_field_is_named(kind: str) -> None:
    """A field without a default cannot be left out."""
    for name in ("recipe", "name"):
        row = message(kind)
        if row.pop(name, None) is not None:
            with pytest.raises(ValueError, match=f"^{name}: is missing$"):
                check_message(row)


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
    """It may change what the fields beside it mean: a verdict must not rest on half of what was said."""
    with pytest.raises(ValueError, match="shots: is unknown; if a newer version wrote it, update pytest-qeval"):
        check_message(changed(kind, path, 5))


def test_objects_that_are_open_may_hold_more() -> None:
    """What describes a model, a host or a layer grows without a new schema."""
    assert check_message(changed("run", ["host", "shots"], 5))["host"]["shots"] == 5
    assert check_message(changed("recipe", ["layers", 0, "shots"], 5))["layers"][0]["shots"] == 5


def test_an_unknown_type_is_kept_unread() -> None:
    """A newer writer may say more than this version understands."""
    row = {"type": "weather", "recipe": "int8", "rain": [{"mm": 3}]}
    assert check_message(row) == row


def test_an_unknown_type_is_sorted_by_names() -> None:
    """Whoever looks for a recipe's messages compares texts."""
    with pytest.raises(ValueError, match=r"^name: expected str, not \['a'\]$"):
        check_message({"type": "weather", "name": ["a"]})


def test_an_unknown_type_holds_no_impossible_numbers() -> None:
    """It will be written again, as JSON."""
    with pytest.raises(ValueError, match=r"^rain\[0\]\.mm: expected a finite number"):
        check_message({"type": "weather", "rain": [{"mm": math.inf}]})


def test_what_an_older_writer_did_not_know_gets_its_default() -> None:
    """A field that came later does not make older files unreadable."""
    row = message("run")
    del row["saved_baseline"], row["baseline_model"]
    assert check_message(row)["saved_baseline"] is None
    row = message("benchmark")
    del row["excluded"]
    assert check_message(row)["excluded"] == {}


@pytest.mark.parametrize("row", [None, 3, "record", [], [{"type": "record"}], {}, {"recipe": "int8"}])
def test_what_is_no_message_is_refused(row: object) -> None:
    """A message is an object with a type."""
    with pytest.raises(ValueError, match="expected"):
        check_message(row)


def test_a_header_is_checked_like_a_message() -> None:
    """A baseline's `run` is a `RunHeader`, no more and no less."""
    assert RunHeader(**check_header(asdict(HEADER))) == HEADER
    with pytest.raises(ValueError, match=r"^engine: expected str, not 3$"):
        check_header({**asdict(HEADER), "engine": 3})
    with pytest.raises(ValueError, match=r"^planned: is unknown"):
        check_header({**asdict(HEADER), "planned": 3})


def test_a_check_leaves_its_argument_alone() -> None:
    """Whoever hands over a message still has it."""
    row = message("record")
    before = copy.deepcopy(row)
    check_message(row)
    assert row == before


def test_a_scored_case_has_its_scores() -> None:
    """Each from 0 to 1; and what is executed cannot be scored as well."""
    row = scored("int8", 0, 0.25, 0.5).to_dict()
    executed = record("int8", 0, "+").to_dict()["samples"]

    assert Record.from_dict(check_message(row)).outcome == "scored"
    for changes, sentence in (
        ({"measurements": {"bleu": 0.5}}, "measurements.chrf: expected a number from 0 to 1, not null"),
        ({"measurements": {"bleu": 1.5, "chrf": 0}}, "measurements.bleu: expected a number from 0 to 1, not 1.5"),
        ({"outcome": "solved"}, "outcome: the samples do not say 'solved'"),
        ({"samples": [*row["samples"], *executed]}, "outcome: the samples do not say 'scored'"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            check_message({**row, **changes})


def test_depth_has_an_end() -> None:
    """What is too deep to be copied safely is refused, however deep the parser can go."""
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(ValueError, match="at most 32 levels"):
        check_plain({"host": deep})


@pytest.mark.parametrize(
    "text",
    [b"", b"NaN", b"[Infinity]", b"1e999", b'"\xff"', b'"\\ud800"', b"{} {}", b"1" * 5000, b"[" * 200_000],
    ids=["empty", "nan", "infinity", "overflow", "utf-8", "surrogate", "two", "long", "deep"],
)
def test_loose_json_is_refused(text: bytes) -> None:
    """What Python's own parser lets through, or chokes on, is a `ValueError` of one line."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        decode(text)


def test_importing_is_light() -> None:
    """The validation library is loaded when there is something to check."""
    code = (
        "import sys, pytest_qeval.records.journal, pytest_qeval.verdict.baseline.file; print('msgspec' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
