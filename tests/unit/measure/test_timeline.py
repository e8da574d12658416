"""Time by phase adds up, in few buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.measure.timeline import Timeline


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_stretch_is_divided_among_buckets() -> None:
    timeline = Timeline(Clock())
    timeline.add("decode", 100.1, 100.6, new_tokens=7)
    found = timeline.facts("main")

    assert (found.begun_s, found.bucket_s) == (100.0, 0.25)
    assert found.phases == {"decode": pytest.approx((0.15, 0.25, 0.1))}
    assert found.new_tokens == (0, 0, 7)


STRETCH = st.tuples(st.sampled_from(["prefill", "decode"]), st.floats(0, 5000), st.floats(0, 400), st.integers(0, 50))


@given(stretches=st.lists(STRETCH, max_size=20))
def test_nothing_is_lost_however_long_it_takes(stretches: list[tuple[str, float, float, int]]) -> None:
    """In at most 48 buckets."""
    timeline = Timeline(Clock())
    for phase, begin, length, tokens in stretches:
        timeline.add(phase, 100 + begin, 100 + begin + length, new_tokens=tokens)
    found = timeline.facts("main")

    assert len(found.new_tokens) <= 48
    assert sum(found.new_tokens) == sum(tokens for *_, tokens in stretches)
    for phase in ("prefill", "decode"):
        spent = sum(length for name, _, length, _ in stretches if name == phase)
        assert sum(found.phases.get(phase, ())) == pytest.approx(spent, abs=1e-6)


def test_of_a_block_inside_another_one_the_inner_phase_counts() -> None:
    clock = Clock()
    timeline = Timeline(clock)
    with timeline.spending("measuring"):
        clock.now += 1
        with timeline.spending("loading"):
            clock.now += 2
        clock.now += 4
    found = timeline.facts("gw1").phases

    assert {name: sum(seconds) for name, seconds in found.items()} == pytest.approx({"loading": 2, "measuring": 5})
