"""Time several recipes in turns: round by round, so that what changes on the machine meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from pytest_qeval.measure.contention import Watch
from pytest_qeval.measure.timing_facts import Block

MIN_ROUNDS = 6
"""Of so many, smallest and largest value enclose the median with a confidence of 97 %; of five it is 94 %."""
STREAM_ROUNDS = 12
"""Of a single stream, whose steps vary most: its blocks are half as long instead."""
_MORE_ROUNDS = 3
"""How many disturbed rounds are measured again."""
LONGEST_S = 120.0
"""After so long a disturbed round ends the measurement, for a model may be a hundred times slower on a busy machine."""
_AGAIN_S = 40.0
"""After so long no disturbed round is measured again."""
_BLOCK_S = 0.5
"""Shorter blocks cannot be told from disturbed ones: 5 % of two cores are five of the kernel's ticks."""

Timer = Callable[[], tuple[float, ...]]
"""Does a workload once, and returns its seconds: of a prefill, or of each step of decoding."""


def _around(_recipe: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Measures rounds in which every recipe has one block; the order of the recipes turns round by round."""

    clock: Callable[[], float] = time.monotonic
    watch: Watch = field(default_factory=Watch)
    around: Callable[[str], AbstractContextManager[object]] = _around
    """Returns what a recipe's block is run in, such as a meter of energy."""

    def measure(self, timers: Mapping[str, Timer], *, n_rounds: int = MIN_ROUNDS) -> Mapping[str, tuple[Block, ...]]:
        """Return the blocks of every recipe, disturbed ones included.

        Every workload is done once to warm up. Then there are `n_rounds` rounds of at least half a second a block. A
        round in which any block was disturbed is followed by one more, at most three times, and by none after
        40 seconds; after 120 seconds there are fewer.
        """
        started = self.clock()
        for timer in timers.values():
            timer()
        found: dict[str, list[Block]] = {name: [] for name in timers}
        number = undisturbed = 0
        while undisturbed < n_rounds and number < n_rounds + _MORE_ROUNDS:
            limit_s = LONGEST_S if number < n_rounds else _AGAIN_S
            if undisturbed < number and self.clock() - started > limit_s:
                break
            for name in [*timers] if number % 2 == 0 else [*timers][::-1]:
                found[name].append(self._block(name, timers[name], number))
            undisturbed += not any(blocks[-1].contention.reason for blocks in found.values())
            number += 1
        return {name: tuple(blocks) for name, blocks in found.items()}

    def _block(self, recipe: str, timer: Timer, number: int) -> Block:
        seconds: list[float] = []
        with self.around(recipe):
            self.watch.start()
            started = self.clock()
            while not seconds or self.clock() - started < _BLOCK_S:
                seconds += timer()
            return Block(round=number, seconds=tuple(seconds), contention=self.watch.stop())
