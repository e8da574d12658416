"""Recipes in turns: warm-up, order, length of blocks, and what happens after a disturbance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest

from pytest_qeval.measure.contention import Watch
from pytest_qeval.measure.rounds import LONGEST_S, MIN_ROUNDS, Rounds
from pytest_qeval.measure.timing_facts import Contention
from tests.unit.measure.timings import BUSY, QUIET


class Bench(Watch):
    """A clock that only the workloads advance, and a machine that is disturbed in some blocks."""

    def __init__(self, durations: dict[str, float], busy: set[int] | None = None) -> None:
        super().__init__(own_s=lambda: 0.0, clock=self.clock)
        self.durations, self.busy = durations, busy or set()
        self.now, self.calls, self.blocks = 0.0, "", 0

    def clock(self) -> float:
        return self.now

    def start(self) -> None:
        self.calls += "|"

    def stop(self) -> Contention:
        self.blocks += 1
        return BUSY if self.blocks - 1 in self.busy else QUIET

    def run(self, name: str) -> tuple[float, ...]:
        self.calls += name
        self.now += self.durations[name]
        return (self.durations[name],)

    def rounds(self) -> Rounds:
        return Rounds(clock=self.clock, watch=self)


def measure(bench: Bench, rounds: Rounds | None = None) -> dict[str, list[int]]:
    """Return the number of repetitions in every block."""
    timers = {name: partial(bench.run, name) for name in bench.durations}
    found = (rounds or bench.rounds()).measure(timers)
    assert all([block.round for block in blocks] == list(range(len(blocks))) for blocks in found.values())
    return {name: [len(block.seconds) for block in blocks] for name, blocks in found.items()}


def test_blocks_alternate_and_the_order_turns() -> None:
    """Each workload is done once before, to warm up; a block lasts half a second at least."""
    bench = Bench({"A": 1.0, "B": 0.25})

    assert measure(bench) == {"A": [1] * MIN_ROUNDS, "B": [2] * MIN_ROUNDS}
    assert bench.calls == "AB" + "|A|BB|BB|A" * (MIN_ROUNDS // 2)


@pytest.mark.parametrize(
    ("busy", "rounds"), [({0}, 7), ({0, 1}, 7), ({0, 2, 4}, 9), ({0, 2, 4, 6}, 9), (set(range(99)), 9)]
)
def test_a_disturbed_round_is_measured_again(busy: set[int], rounds: int) -> None:
    """Both recipes of it, and not without end: with two recipes, blocks 0 and 1 are the first round."""
    bench = Bench({"A": 1.0, "B": 1.0}, busy)

    assert [len(blocks) for blocks in measure(bench).values()] == [rounds, rounds]


def test_a_machine_that_is_busy_for_long_ends_the_measurement() -> None:
    bench = Bench({"A": LONGEST_S}, set(range(99)))

    assert measure(bench) == {"A": [1]}
    assert measure(Bench({"A": LONGEST_S})) == {"A": [1] * MIN_ROUNDS}
    assert measure(Bench({"A": 7.0}, set(range(99)))) == {"A": [1] * MIN_ROUNDS}  # six, but none once more


def test_a_block_runs_inside_of_what_meters_it() -> None:
    bench, entered = Bench({"A": 1.0, "B": 1.0}), []

    @contextmanager
    def meter(recipe: str) -> Iterator[None]:
        entered.append(recipe)
        yield

    def around(recipe: str) -> AbstractContextManager[object]:
        return meter(recipe)

    measure(bench, Rounds(clock=bench.clock, watch=bench, around=around))

    assert "".join(entered) == "ABBA" * (MIN_ROUNDS // 2)
