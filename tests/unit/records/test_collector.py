"""Messages are sorted by type and subject; planned cases that nobody needs any more are left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.facts import InvalidCase
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.schema import Case
from tests.unit.records.rows import MESSAGES, PERTURBED
from tests.unit.summary.builders import case, record

INVALID = InvalidCase(
    benchmark="micro", task_id="micro/1", perturbation="butter_fingers", seed=0, reason="it does not pass"
)


@pytest.fixture
def collector() -> Collector:
    """Return a collector of one message of every type."""
    collector = Collector()
    for message in MESSAGES:
        collector.add(message)
    return collector


@pytest.mark.parametrize(
    ("roles", "recipes"),
    [
        (Roles(candidates=("int8", "w4a16"), baseline="auto"), ("auto", "int8", "w4a16")),
        (Roles(candidates=("int8",), baseline="auto", control="control"), ("auto", "control", "int8")),
        (Roles(candidates=("int8",), baseline=None), ("int8",)),
        (Roles(candidates=("auto", "int8"), baseline="auto"), ("auto", "int8")),
    ],
)
def test_the_baseline_comes_first(roles: Roles, recipes: tuple[str, ...]) -> None:
    """Then its second run, then the candidates in the user's order; no name twice."""
    assert roles.recipes == recipes


def test_every_type_is_kept_by_its_subject(collector: Collector) -> None:
    """Messages about the run, and a baseline's scores, are of no use here."""
    assert collector.records.keys() == {("int8", case(0)), ("int8", PERTURBED.case)}
    assert list(collector.recipes) == list(collector.sensitivity) == list(collector.divergence) == ["int8"]
    assert [len(collector.generation), len(collector.streams)] == [1, 1]
    assert list(collector.decisions) == [("pass@1 >= 0", "int8", "micro")]
    assert list(collector.benchmarks) == ["micro"]
    assert list(collector.perturbations()) == [("micro", "butter_fingers")]
    assert list(collector.invalid.values()) == ["it does not pass"]
    assert collector.stops == {("int8", "micro"): "sure"}


def test_a_case_that_is_found_invalid_counts_as_invalid(collector: Collector) -> None:
    """The perturbation was applied to one problem less; of an unknown perturbation nothing is counted."""
    collector.add(INVALID)
    facts = collector.perturbations()["micro", "butter_fingers"]

    assert (facts.applied, facts.invalid) == (1, 1)
    assert facts.reasons == {"micro/1-butter_fingers-s0": "it does not pass"}


def test_without_decisions_every_valid_case_is_expected() -> None:
    """An invalid case is nobody's."""
    collector = Collector()
    collector.add(INVALID)
    planned = [("int8", case(0)), ("int8", INVALID.case), ("auto", case(1))]

    assert list(collector.expected_cases(planned)) == [("int8", case(0)), ("auto", case(1))]


def test_after_a_decision_only_what_was_run_is_expected(collector: Collector) -> None:
    """Of that recipe and benchmark; perturbed cases are not decided."""
    late, perturbed = case(5), replace(case(5), perturbation="butter_fingers")
    other = Case(benchmark="humaneval", task_id="HumanEval/5")
    planned = [("int8", one) for one in (case(0), late, perturbed, other)] + [("auto", late)]

    assert list(collector.expected_cases(planned)) == [
        ("int8", case(0)),
        ("int8", perturbed),
        ("int8", other),
        ("auto", late),
    ]


def test_the_last_record_of_a_case_counts(collector: Collector) -> None:
    """A case may be run again by a worker that replaces a crashed one."""
    collector.add(record("int8", 0, "-"))

    assert collector.records["int8", case(0)] == record("int8", 0, "-")


def test_how_many_requests_a_server_is_worth_is_known_at_the_end(collector: Collector) -> None:
    """A number that was known before stays, unless memory ran out: then fewer are left, and a note says so."""
    recipe, generation = collector.recipes["int8"], collector.generation[0]
    for known, found, expected in ((None, 16, 16), (None, None, None), (8, 16, 8), (8, 8, 8), (8, 4, 4)):
        collector.add(replace(recipe, batch_size=known))
        collector.add(replace(generation, batch_size=found))
        assert collector.recipes["int8"].batch_size == expected
        assert ("out of memory with a batch of 8: went on with 4" in collector.recipes["int8"].notes) == (found == 4)
