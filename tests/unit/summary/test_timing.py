"""Medians and ratios by round, and marks of what was measured on a disturbed machine."""

from __future__ import annotations

import pytest

from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.summary.timing import problem_times, stream_of, workload_times
from tests.unit.measure.timings import BUSY, problems, timing

DRIFTING = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
"""Seconds of a baseline on a machine that becomes slower and slower."""


def test_ratios_are_paired_by_round() -> None:
    """So that a ratio survives a machine that changes between rounds: the candidate is always twice as fast."""
    base = timing("auto", DRIFTING, beside=("int8",))
    own = timing("int8", [value / 2 for value in DRIFTING], beside=("auto",))
    found = workload_times(own, base)

    assert isinstance(found.speedup, Estimate)
    assert (found.speedup.value, found.speedup.low, found.speedup.high, found.speedup.n) == (2.0, 2.0, 2.0, 6)
    assert (found.seconds.low, found.seconds.high) == (0.05, 1.6)
    assert found.seconds.value == pytest.approx(0.3)
    assert isinstance(workload_times(base, base).speedup, Undefined)


def test_what_was_not_measured_in_turns_has_a_ratio_without_an_interval() -> None:
    found = workload_times(timing("int8", [0.05] * 6), timing("auto", [0.1] * 6))

    assert isinstance(found.speedup, Estimate)
    assert (found.speedup.value, found.speedup.low, found.speedup.high) == (2.0, None, None)
    assert found.speedup.method == "medians, not alternating"


def test_disturbed_rounds_are_left_out_where_six_others_are_there() -> None:
    """Of both recipes: a ratio needs two undisturbed blocks."""
    base = timing("auto", [9.0, *[0.1] * 6, 0.1], beside=("int8",), busy=[0])
    own = timing("int8", [0.05, *[0.05] * 6, 9.0], beside=("auto",), busy=[7])
    found = workload_times(own, base)

    assert (found.contended, found.seconds.value, found.rounds) == ("", 0.05, frozenset(range(7)))
    assert isinstance(found.speedup, Estimate)
    assert (found.speedup.value, found.speedup.n) == (2.0, 6)


def test_too_few_undisturbed_rounds_are_contended() -> None:
    """All rounds count then, and the reason is the worst block's."""
    found = workload_times(timing("int8", [1.0, *[0.1] * 5], busy=[0]), None)

    assert (found.contended, found.seconds.n) == ("other processes took 50% of the machine", 6)
    assert isinstance(found.speedup, Undefined)


def test_the_single_stream_is_among_the_workloads() -> None:
    workloads = [
        workload_times(timing("int8", [seconds] * 6, workload=name), None)
        for name, seconds in (("decode-1", 0.1), ("decode-8", 0.2), ("prefill-128", 0.3))
    ]
    (stream,) = stream_of("int8", workloads)

    assert (stream.decode_s, stream.prefill_s) == ((0.1,) * 18, (0.3,) * 18)
    assert (stream.prompt_tokens, stream.contended) == (128, "")
    assert stream_of("int8", workloads[1:2]) == []


def test_problems_are_split_by_what_is_known_of_them() -> None:
    """Lengths are means; ratios are paired by problem."""
    base = problems("auto", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], beside=("int8",))
    own = problems("int8", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3], beside=("auto",))
    found = problem_times(own, base)

    assert (found.all.n, found.solved.n, found.unsolved.n, found.contended) == (6, 3, 2, "")
    assert (found.solved.new_tokens, found.unsolved.new_tokens) == (30, 30)
    assert found.unsolved.tpot_s is not None
    assert found.unsolved.tpot_s.p50 == pytest.approx(0.15)
    assert isinstance(found.speedup, Estimate)
    assert (found.speedup.value, found.speedup.low, found.speedup.n) == (2.0, 2.0, 6)


def test_problems_that_were_not_answered_in_turns_prove_nothing() -> None:
    base, own = problems("auto", [0.1] * 6), problems("int8", [0.05] * 6, contention=BUSY)
    found = problem_times(own, base)

    assert found.contended == "other processes took 50% of the machine"
    assert isinstance(found.speedup, Estimate)
    assert (found.speedup.value, found.speedup.low) == (2.0, None)
    assert found.speedup.method.endswith("not alternating")
    assert isinstance(problem_times(own, None).speedup, Undefined)
    assert isinstance(problem_times(own, problems("auto", [])).speedup, Undefined)
