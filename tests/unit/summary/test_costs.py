"""What recipes cost: percentiles, what is left out, and which recipe is slower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_qeval.facts import EnergyFacts, StreamFacts
from pytest_qeval.schema import Completion, Execution, Record, Sample
from pytest_qeval.summary.costs import (
    Efficiency,
    Slowdown,
    mark_slower,
    summarize_costs,
)
from pytest_qeval.summary.energy import EnergyRates
from pytest_qeval.summary.percentiles import percentiles
from tests.unit.summary.builders import INT8, case, generation, record, scored

TIMED = [record("int8", number, letter) for number, letter in enumerate("++-+")]
"""Four completions of 11 tokens: TTFT 0.1 s, 0.6 s in all."""


def costs(records: list[Record] = TIMED, *, energy_wh: float | None = 0.1) -> Efficiency:
    stream = StreamFacts(recipe="int8", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.04))
    return summarize_costs(INT8, records, [generation("int8", tokens=100, busy_s=1.0, energy_wh=energy_wh)], [stream])


def untimed(number: int) -> Record:
    """Return a record of an earlier run whose durations are not known."""
    completion = Completion(text="pass", n_tokens=11, finish_reason="stop")
    sample = Sample(
        completion=completion, program_sha256="0" * 64, execution=Execution(status="passed", duration_s=0.01)
    )
    return Record(recipe="int8", case=case(number), samples=(sample,))


def test_percentiles_are_interpolated_between_closest_ranks() -> None:
    found = percentiles([4.0, 1.0, 2.0, 3.0])

    assert found is not None
    assert (found.p50, found.p90, found.p99, found.max, found.n) == (2.5, None, None, 4.0, 4)
    assert percentiles([]) is None


@pytest.mark.parametrize(
    ("n", "known"), [(9, (False, False)), (10, (True, False)), (99, (True, False)), (100, (True, True))]
)
def test_a_percentile_needs_a_value_above_it(n: int, known: tuple[bool, bool]) -> None:
    """The p99 of three values would be another name for their maximum."""
    found = percentiles(map(float, range(n)))

    assert found is not None
    assert (found.p90 is not None, found.p99 is not None, found.max, found.n) == (*known, n - 1, n)
    assert found.p90 is None or found.p90 == pytest.approx(0.9 * (n - 1))
    assert found.p99 is None or found.p99 == pytest.approx(0.99 * (n - 1))


def test_costs_are_ratios_of_what_was_measured() -> None:
    """Throughput is tokens over engine time, TPOT excludes the first token, energy is shared by solved problems."""
    found = costs()

    assert found.throughput == 100.0
    assert found.rates.j_per_solved == pytest.approx(360 / 3)
    assert found.tpot_s is not None
    assert found.tpot_s.p50 == pytest.approx(0.05)
    assert found.decode_s is not None
    assert found.decode_s.p50 == pytest.approx(0.03)
    assert found.stream_prompt_tokens == 8
    assert (found.peak_memory_bytes, found.model_bytes, found.simulated) == (5000, 1500, False)


def test_workers_are_added_up() -> None:
    """Tokens, engine times and energy; one worker without a meter leaves the energy undefined."""
    parts = [
        generation("int8", tokens=100, busy_s=1.0, energy_wh=0.1),
        generation("int8", tokens=50, busy_s=2.0, energy_wh=None),
    ]
    found = summarize_costs(INT8, TIMED, parts, ())

    assert (found.new_tokens, found.busy_s, found.throughput) == (150, 3.0, 50.0)
    assert found.energy == EnergyFacts(undefined="no meter")
    assert found.rates.j_per_solved is None


def test_drafts_leave_out_what_generating_cost() -> None:
    """One worker's are enough; what was measured without them stays."""
    stream = StreamFacts(recipe="int8", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.04))
    parts = [generation("int8", tokens=100, busy_s=1.0, energy_wh=0.1) for _ in range(2)]
    found = summarize_costs(INT8, TIMED, [parts[0], replace(parts[1], drafted=True)], [stream])

    assert found.drafted
    assert (found.ttft_s, found.tpot_s, found.duration_s, found.throughput, found.peak_memory_bytes) == (None,) * 5
    assert found.energy == EnergyFacts(undefined="completions were drafted from the baseline's")
    assert found.rates.j_per_solved is None
    assert (found.new_tokens, found.model_bytes) == (200, 1500)
    assert found.decode_s is not None
    assert not costs().drafted


@pytest.mark.parametrize("saved", [1, 4], ids=["a part", "all"])
def test_costs_of_generating_are_left_out_where_completions_are_of_an_earlier_run(saved: int) -> None:
    """Generating the rest is not the cost of all problems, so no gate may compare it with a candidate's."""
    found = costs([*(untimed(number) for number in range(saved)), *TIMED[saved:]])

    assert (found.throughput, found.energy.energy_wh, found.tpot_s) == (None, None, None)
    assert found.rates == EnergyRates()
    assert (found.new_tokens, found.peak_memory_bytes) == (0, None)
    assert found.decode_s is not None


def test_energy_of_scored_completions_is_not_shared_among_solved_problems() -> None:
    """It went into both kinds, in unknown parts."""
    assert (
        costs(
            [*TIMED, replace(scored("int8", 9, 0.5), samples=(*TIMED[0].samples, *scored("int8", 9, 0.5).samples))]
        ).rates.j_per_solved
        is None
    )


def slowdown(*, stream_s: tuple[float, float], throughput: tuple[float, float], tokens: int) -> Slowdown | None:
    """Compare baseline and candidate, given in this order."""
    found = {
        name: replace(costs(), recipe=name, decode_s=percentiles([seconds]), throughput=rate, new_tokens=tokens)
        for name, seconds, rate in zip(("auto", "int8"), stream_s, throughput, strict=True)
    }
    return mark_slower(found, ["int8"], "auto")["int8"].slower


@pytest.mark.parametrize(
    ("stream_s", "throughput", "tokens", "slower"),
    [
        ((0.01, 0.02), (100.0, 50.0), 200, (True, True)),
        ((0.01, 0.02), (100.0, 150.0), 200, (True, False)),
        ((0.01, 0.005), (100.0, 50.0), 200, (False, True)),
        ((0.01, 0.02), (100.0, 50.0), 199, (True, False)),
        ((0.01, 0.005), (100.0, 50.0), 199, None),
        ((0.01, 0.0102), (100.0, 98.0), 200, None),
        ((0.01, 0.005), (100.0, 150.0), 200, None),
    ],
    ids=["both", "stream", "batch", "short batch beside a slow stream", "short batch", "within 3 %", "faster"],
)
def test_a_candidate_is_slower_by_more_than_three_percent(
    stream_s: tuple[float, float], throughput: tuple[float, float], tokens: int, slower: tuple[bool, bool] | None
) -> None:
    """By a single stream, by the batch, or by both; a batch of fewer than 200 tokens is not compared."""
    expected = slower and Slowdown(
        baseline="auto", stream_s=stream_s if slower[0] else None, throughput=throughput if slower[1] else None
    )

    assert slowdown(stream_s=stream_s, throughput=throughput, tokens=tokens) == expected


@pytest.mark.parametrize("disturbed", ["auto", "int8"])
def test_a_batch_on_a_busy_machine_is_not_compared(disturbed: str) -> None:
    found = {
        name: replace(costs(), recipe=name, throughput=rate, new_tokens=500, contended="busy" * (name == disturbed))
        for name, rate in (("auto", 100.0), ("int8", 50.0))
    }

    assert mark_slower(found, ["int8"], "auto")["int8"].slower is None


@pytest.mark.parametrize("base", [{}, {"auto": replace(costs(), simulated=True)}], ids=["absent", "simulated"])
def test_nothing_is_slower_than_a_baseline_without_a_speed_of_its_own(base: Mapping[str, Efficiency]) -> None:
    slow = replace(costs(), decode_s=percentiles([9.0]))

    assert mark_slower({**base, "int8": slow}, ["int8"], "auto")["int8"].slower is None
