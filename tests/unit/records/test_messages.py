"""Messages stay what they are on their way between processes and into files."""

import json

import execnet
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.measure.topk import Scores
from pytest_qeval.records.checks import read_message
from pytest_qeval.records.messages import WIRE_TYPES, BaselineScores, Message, from_plain, recipe_of, to_plain
from pytest_qeval.schema import EXECUTION_STATUSES, Case, Completion, Execution, Record, Sample
from tests.unit.records.rows import MESSAGES, PERTURBED, TEXT
from tests.unit.summary.builders import BASELINE, generation, record

SECONDS = st.floats(0, 1e6)
TEXTS = st.text(max_size=30)
SAMPLES = st.builds(
    Sample,
    completion=st.builds(
        Completion,
        text=TEXTS,
        n_tokens=st.none() | st.integers(0, 4096),
        finish_reason=st.sampled_from(["stop", "eos", "length", "replay"]),
        ttft_s=st.none() | SECONDS,
        duration_s=st.none() | SECONDS,
        is_program=st.booleans(),
    ),
    program_sha256=st.just("0" * 64),
    extracted=st.none() | TEXTS,
    execution=st.builds(
        Execution, status=st.sampled_from(EXECUTION_STATUSES), duration_s=SECONDS, detail=st.text(max_size=20)
    ),
)
RECORDS = st.builds(
    Record,
    recipe=TEXTS,
    case=st.builds(Case, benchmark=TEXTS, task_id=TEXTS, perturbation=st.none() | TEXTS, seed=st.integers(0, 10)),
    samples=st.lists(SAMPLES, min_size=1, max_size=3).map(tuple),
    worker=st.sampled_from(["main", "gw0"]),
    measurements=st.dictionaries(TEXTS, SECONDS, max_size=2),
    prompt_diff=TEXTS,
)


@given(RECORDS)
def test_a_record_survives_the_journey_between_processes(record: Record) -> None:
    """Execnet takes plain values only."""
    assert from_plain(execnet.loads(execnet.dumps(to_plain(record)))) == record


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_type_survives_both_journeys(message: Message) -> None:
    """Between processes, and into a file and back, where everything is checked."""
    assert from_plain(execnet.loads(execnet.dumps(to_plain(message)))) == message
    assert to_plain(from_plain(to_plain(message))) == to_plain(message)
    found = read_message(json.loads(json.dumps(to_plain(message))))
    assert found is not None
    assert json.dumps(to_plain(found)) == json.dumps(to_plain(message))


def test_every_type_has_an_example_here() -> None:
    """So that a new one is not forgotten."""
    assert {to_plain(message)["type"] for message in MESSAGES} == WIRE_TYPES.keys()


def test_a_record_is_written_flat() -> None:
    """`records.jsonl` is read by others: names, nesting and what is left out."""
    row = to_plain(record("int8", 0, "+"))

    assert row == {
        "type": "record",
        "benchmark": "micro",
        "task_id": "micro/0",
        "perturbation": None,
        "seed": 0,
        "half": False,
        "recipe": "int8",
        "samples": [
            {
                "completion": "pass",
                "n_tokens": 11,
                "finish_reason": "stop",
                "ttft_s": 0.1,
                "duration_s": 0.6,
                "program_sha256": "0" * 64,
                "execution": {"status": "passed", "duration_s": 0.01, "detail": ""},
            }
        ],
        "outcome": "solved",
        "worker": "main",
        "measurements": {},
    }
    assert to_plain(PERTURBED)["prompt_diff"] == PERTURBED.prompt_diff


def test_scores_are_named_by_recipe_and_benchmark() -> None:
    """And are the same without the names."""
    scores = Scores(k=32, texts={"micro/0": TEXT}, incomparable=("micro/1",), duration_s=1.0)

    assert BaselineScores.of("auto", "micro", scores).scores == scores


def test_messages_about_a_recipe_have_its_name() -> None:
    """A recipe's own facts call it `name`."""
    assert recipe_of(BASELINE) == "auto"
    assert recipe_of(generation("int8", tokens=1, busy_s=1.0, energy_wh=None)) == "int8"


def test_numbers_of_other_packages_become_plain_ones() -> None:
    """An engine of another package may count with numpy."""
    counted = generation("int8", tokens=np.int64(40), busy_s=np.float64(1.5), energy_wh=None)
    row = to_plain(counted)

    assert (type(row["busy_s"]), type(row["new_tokens"])) == (float, int)
    assert (row["busy_s"], row["new_tokens"]) == (1.5, 40)
