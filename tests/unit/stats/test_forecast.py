"""The forecast of an engine's time agrees with engines that are simulated, step by step."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.stats.forecast import StepCosts, WorkLeft, remaining_s

PREFILL_S = 0.0002
"""Seconds per token of a prompt."""


class Snapshot(NamedTuple):
    at_s: float
    work: WorkLeft


def simulate(lengths: Sequence[int], *, rows: int, prompt: int = 100, limit: int = 512) -> list[Snapshot]:
    """Decode completions of these lengths in a continuous batch whose steps cost 50 ms and 0.5 ms a row."""
    waiting, ended = list(lengths), list[int]()
    live: list[list[int]] = []
    steps, now, read = StepCosts(), 0.0, 0
    found: list[Snapshot] = []
    while waiting or live:
        if waiting and len(live) < rows:
            joining = waiting[: rows - len(live)]
            waiting = waiting[len(joining) :]
            live += [[0, length] for length in joining]
            now += PREFILL_S * prompt * len(joining)
            read += prompt * len(joining)
        else:
            seconds = 0.05 + 0.0005 * len(live)
            steps.add(len(live), len(live), seconds)
            now += seconds
            live = [[age + 1, length] for age, length in live]
            ended += [length for age, length in live if age >= length]
            live = [row for row in live if row[0] < row[1]]
        work = WorkLeft(
            prompt_tokens=read,
            prefill_s=PREFILL_S * read,
            waiting_prompt_tokens=prompt * len(waiting),
            waiting=len(waiting),
            live=[age for age, _ in live],
            ended=list(ended),
            limit=limit,
            rows=rows,
            steps=copy(steps),
        )
        found.append(Snapshot(now, work))
    return found


def lengths(n: int, *, mean: float, seed: int, limit: int = 512) -> list[int]:
    rng = random.Random(seed)  # noqa: S311 - a simulation
    return [min(limit, 1 + int(rng.expovariate(1 / mean))) for _ in range(n)]


def error_at(found: Sequence[Snapshot], share: float) -> float:
    """Return forecast over truth, less 1, once a share of the time has passed."""
    end = found[-1].at_s
    at_s, work = next(one for one in found if one.at_s >= share * end)
    left = remaining_s(work)
    assert left is not None
    return (at_s + left) / end - 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows", [1, 16, 128])
def test_after_a_fifth_of_the_time_the_end_is_known_within_30_percent(rows: int, seed: int) -> None:
    """One row at a time, a few, or all at once: of the last, the longest completions decide."""
    found = simulate(lengths(164, mean=80, seed=seed), rows=rows)
    assert abs(error_at(found, 0.2)) < 0.3


def test_lengths_that_are_known_beforehand_make_it_better() -> None:
    """As those of the baseline, whose problems are the same."""
    drawn = [*[40] * 120, *[500] * 8]
    found = simulate(drawn, rows=128)
    _, work = next(one for one in found if one.at_s >= 0.1 * found[-1].at_s)
    truth = found[-1].at_s - next(one.at_s for one in found if one.work is work)
    unknown, known = remaining_s(work), remaining_s(work, known_lengths=drawn)

    assert unknown is not None
    assert known is not None
    assert abs(known - truth) < min(0.15 * truth, abs(unknown - truth))


@settings(deadline=None)
@given(
    live=st.lists(st.integers(0, 511), max_size=130),
    ended=st.lists(st.integers(0, 512), max_size=130),
    waiting=st.integers(0, 3000),
    rows=st.integers(1, 130),
    limit=st.sampled_from([1, 7, 512, 4096]),
)
def test_a_forecast_is_a_number_and_more_work_takes_longer(
    live: list[int], ended: list[int], waiting: int, rows: int, limit: int
) -> None:
    def left(waiting: int) -> float:
        steps = StepCosts()
        for _ in range(2):
            steps.add(rows, rows, 0.1)
        work = WorkLeft(
            prompt_tokens=10,
            prefill_s=0.1,
            waiting_prompt_tokens=10 * waiting,
            waiting=waiting,
            live=[min(age, limit - 1) for age in live],
            ended=[min(age, limit) for age in ended],
            limit=limit,
            rows=rows,
            steps=steps,
        )
        found = remaining_s(work)
        assert found is not None
        return found

    assert 0 <= left(waiting) < left(waiting + 500)


def test_nothing_done_is_no_forecast_and_prompts_alone_are_one() -> None:
    """Before the first token is decoded, rows cost as much as the prompts' tokens."""

    def work(prompt_tokens: int) -> WorkLeft:
        return WorkLeft(
            prompt_tokens=prompt_tokens,
            prefill_s=PREFILL_S * prompt_tokens,
            waiting_prompt_tokens=1000,
            waiting=10,
            live=[1],
            ended=[],
            limit=512,
            rows=128,
            steps=StepCosts(),
        )

    assert remaining_s(work(0)) is None
    assert 1.0 < (remaining_s(work(100)) or 0) < 1000


@given(a=st.floats(0.01, 1), b=st.floats(0.0001, 0.01))
def test_the_cost_of_a_row_is_learned(a: float, b: float) -> None:
    costs = StepCosts()
    for rows in (1, 16, 64, 128) * 40:
        costs.add(rows, rows, a + b * rows)

    assert costs.per_step(32, unknown_s=1.0) == pytest.approx(a + 32 * b, rel=0.1)
