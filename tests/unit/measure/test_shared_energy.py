"""The machine's energy is divided among the workers that generate at a time, and no joule is counted twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.facts import EnergyFacts, GenerationFacts
from pytest_qeval.measure import shared_energy
from pytest_qeval.measure.energy import EnergyMeter
from pytest_qeval.measure.shared_energy import BusyTimes, MachineMeter, Slice, share_energy

Stretches = tuple[tuple[float, float], ...]

READING = EnergyFacts(energy_wh=2.0, emissions_g=1.0, provenance="measured", method="a counter")


def part(*stretches: tuple[float, float], recipe: str = "int8") -> GenerationFacts:
    energy = EnergyFacts(undefined="the machine was not metered", stretches=stretches)
    return GenerationFacts(
        recipe=recipe,
        worker="gw0",
        busy_s=1.0,
        new_tokens=9,
        prompt_tokens=9,
        peak_memory_bytes=None,
        energy=energy,
    )


def slices(count: int, reading: EnergyFacts = READING) -> list[Slice]:
    """Return readings of 2 Wh each, two seconds long."""
    return [Slice(begin_s=2.0 * number, end_s=2.0 * number + 2, energy=reading) for number in range(count)]


def energies(count: int, *parts: GenerationFacts) -> Sequence[float | None]:
    return [one.energy.energy_wh for one in share_energy(slices(count), parts)]


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        ([((0.0, 8.0),)], [8.0]),
        ([((0.0, 8.0),), ((0.0, 8.0),)], [4.0, 4.0]),
        ([((0.0, 4.0),), ((0.0, 8.0),)], [2.0, 6.0]),
        ([((0.0, 4.0),), ((4.0, 8.0),)], [4.0, 4.0]),
        ([((1.0, 2.0), (6.0, 7.0))], [2.0]),
    ],
    ids=["alone", "together", "one is left", "one after the other", "with pauses"],
)
def test_workers_that_generate_at_a_time_share(stretches: Sequence[Stretches], expected: Sequence[float]) -> None:
    assert energies(4, *(part(*own) for own in stretches)) == pytest.approx(expected)


STRETCH = st.tuples(st.floats(0, 8), st.floats(0, 8)).map(lambda ends: (min(ends), max(ends)))


@given(st.lists(STRETCH.filter(lambda ends: ends[1] - ends[0] > 1e-6), min_size=1, max_size=5))
def test_no_joule_is_counted_twice(drawn: list[tuple[float, float]]) -> None:
    """However stretches overlap, they take no more than the machine did."""
    found = cast("list[float]", energies(4, *map(part, drawn)))

    assert all(one > 0 for one in found)
    assert sum(found) <= 8.0 + 1e-9


def test_the_figure_of_the_user_stays_his_own() -> None:
    reading = replace(READING, provenance="declared", above_idle_wh=None)
    (found,) = share_energy(slices(1, reading), [part((0.0, 1.0))])

    assert (found.energy.energy_wh, found.energy.provenance, found.energy.above_idle_wh) == (1.0, "declared", None)


def test_what_is_above_idle_is_shared_alike() -> None:
    reading = replace(READING, above_idle_wh=1.0, idle_w=5.0)
    found = [one.energy for one in share_energy(slices(2, reading), [part((0.0, 4.0)), part((0.0, 2.0))])]

    assert [one.above_idle_wh for one in found] == pytest.approx([1.5, 0.5])


def test_shared_energy_is_an_estimate_that_says_how() -> None:
    """Even where the machine's own was read from a counter."""
    (found,) = share_energy(slices(1), [part((0.0, 2.0))])

    assert found.energy == EnergyFacts(
        energy_wh=2.0,
        emissions_g=1.0,
        provenance="estimated",
        method="a counter; divided evenly among the workers that generate at a time",
        duration_s=2.0,
    )


@pytest.mark.parametrize(
    ("readings", "own", "reason"),
    [
        (slices(1, EnergyFacts(undefined="no codecarbon")), part((0.0, 2.0)), "no codecarbon"),
        ([], part((0.0, 2.0)), "the machine was not metered"),
        (slices(4), part(), "nothing was generated"),
        (slices(1), part((0.0, 8.0)), "the machine was metered for 2 of 8 s of generating"),
    ],
    ids=["no meter", "no reading", "no completion", "a part"],
)
def test_what_was_not_metered_has_a_reason(readings: list[Slice], own: GenerationFacts, reason: str) -> None:
    (found,) = share_energy(readings, [own])

    assert found == replace(own, energy=EnergyFacts(undefined=reason))


def test_stretches_of_a_recipe_are_kept_together() -> None:
    """A worker posts its costs once a recipe."""
    clock = iter([1.0, 2.0, 5.0, 9.0]).__next__
    times, found = BusyTimes(clock), []
    for _ in range(2):
        times.start("int8")
        found.append(times.stop())

    assert EnergyFacts.total(found).stretches == ((1.0, 2.0), (5.0, 9.0))


class FakeMeter:
    """Reads 1 Wh at every stop."""

    def __init__(self, reading: EnergyFacts) -> None:
        self.reading, self.started = reading, 0
        self.counts, self.prepared, self.closed = True, 0, False

    def prepare(self) -> None:
        assert not self.started  # idle power is that of a machine without workers
        self.prepared += 1

    def close(self) -> None:
        self.closed = True

    def start(self, _task: str) -> None:
        self.started += 1

    def stop(self) -> EnergyFacts:
        return self.reading


def meter_of(fake: FakeMeter) -> MachineMeter:
    return MachineMeter(cast("EnergyMeter", fake))


def test_the_machine_is_metered_without_gaps_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices; stopping ends the last one."""
    monkeypatch.setattr(shared_energy, "_SLICE_S", 0.001)
    fake = FakeMeter(READING)
    machine = meter_of(fake)
    machine.start()
    while fake.started < 3:
        pass
    found = machine.stop()

    assert len(found) == fake.started >= 3
    assert (fake.prepared, fake.closed) == (1, True)
    assert all(one.begin_s <= one.end_s for one in found)


def test_without_a_meter_one_slice_says_why() -> None:
    fake = FakeMeter(EnergyFacts(undefined="no codecarbon"))
    machine = meter_of(fake)
    machine.start()

    assert [one.energy.undefined for one in machine.stop()] == ["no codecarbon"]
    assert meter_of(fake).stop() == []
