import json

import execnet
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.schema import (
    EXECUTION_STATUSES,
    Case,
    Completion,
    Estimate,
    Execution,
    Record,
    Sample,
    Undefined,
    quantity_to_dict,
)

SECONDS = st.floats(0, 1e6)
TEXT = st.text(max_size=30)
SAMPLES = st.builds(
    Sample,
    completion=st.builds(
        Completion,
        text=TEXT,
        n_tokens=st.none() | st.integers(0, 4096),
        finish_reason=st.sampled_from(["stop", "eos", "length", "replay"]),
        ttft_s=st.none() | SECONDS,
        duration_s=st.none() | SECONDS,
    ),
    program_sha256=st.just("0" * 64),
    extracted=st.none() | TEXT,
    execution=st.builds(
        Execution, status=st.sampled_from(EXECUTION_STATUSES), duration_s=SECONDS, detail=st.text(max_size=20)
    ),
)
RECORDS = st.builds(
    Record,
    recipe=TEXT,
    case=st.builds(Case, benchmark=TEXT, task_id=TEXT, perturbation=st.none() | TEXT, seed=st.integers(0, 10)),
    samples=st.lists(SAMPLES, min_size=1, max_size=3).map(tuple),
    worker=st.sampled_from(["main", "gw0"]),
    measurements=st.dictionaries(TEXT, SECONDS, max_size=2),
)


@given(RECORDS)
def test_a_record_survives_json_and_the_journey_between_processes(record: Record) -> None:
    """What goes into the journal and over execnet comes back equal."""
    row = record.to_dict()

    assert Record.from_dict(json.loads(json.dumps(row))) == record
    assert Record.from_dict(execnet.loads(execnet.dumps(row))) == record


@given(RECORDS)
def test_a_record_is_solved_when_a_sample_passed(record: Record) -> None:
    """The reason is empty exactly then."""
    passed = any(sample.execution.status == "passed" for sample in record.samples)

    assert record.outcome == ("solved" if passed else "unsolved")
    assert (record.reason == "") is passed


def test_labels_name_problem_and_perturbation() -> None:
    """The part of a test id that people type after -k."""
    assert Case(benchmark="humaneval", task_id="HumanEval/0").label == "HumanEval/0"
    perturbed = Case(benchmark="humaneval", task_id="HumanEval/0", perturbation="butter_fingers", seed=3)
    assert repr(perturbed) == "HumanEval/0-butter_fingers-s3"


def test_a_quantity_is_an_estimate_or_a_reason() -> None:
    """Not measurable is a value."""
    assert quantity_to_dict(Undefined(reason="why")) == {"undefined": "why"}
    estimate = Estimate(value=0.5, low=0.4, high=0.6, n=10, method="m")
    assert quantity_to_dict(estimate)["confidence"] == 0.95
