"""Values derive their outcome, reason and names from what they hold."""

import pytest

from pytest_qeval.schema import Case
from tests.unit.summary.builders import record, scored


@pytest.mark.parametrize(
    ("samples", "outcome", "reason"),
    [
        ("+", "solved", ""),
        ("-+", "solved", ""),
        ("-", "unsolved", "failed: assert 1 == 2"),
        ("t-", "unsolved", "timeout: 5 s"),
    ],
)
def test_a_record_is_solved_when_a_sample_passed(samples: str, outcome: str, reason: str) -> None:
    """Otherwise the first sample gives the reason."""
    found = record("int8", 0, samples)

    assert (found.outcome, found.reason, found.n_solved) == (outcome, reason, samples.count("+"))


def test_a_scored_record_is_neither_solved_nor_unsolved() -> None:
    """Whatever its scores are."""
    found = scored("int8", 0, 0.0)

    assert (found.outcome, found.reason) == ("scored", "")


def test_labels_name_problem_and_perturbation() -> None:
    """The part of a test id that people type after -k."""
    assert Case(benchmark="humaneval", task_id="HumanEval/0").label == "HumanEval/0"
    perturbed = Case(benchmark="humaneval", task_id="HumanEval/0", perturbation="butter_fingers", seed=3)
    assert repr(perturbed) == "HumanEval/0-butter_fingers-s3"
    half = Case(benchmark="humaneval", task_id="HumanEval/0", half=True)
    assert (half.label, half.is_own, perturbed.is_own) == ("HumanEval/0-half_given-s0", False, False)
