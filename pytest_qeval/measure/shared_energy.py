"""Energy of processes that share a machine: one process meters it, and the others say when they generate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event, Thread
from time import monotonic

from pytest_qeval.facts import ADDED_UP, EnergyFacts, GenerationFacts
from pytest_qeval.measure.energy import EnergyMeter, Window

_SLICE_S = 2.0
_COVERED = 0.9
"""Share of the time of generating that has to be metered: a figure for less would be too low."""


class BusyTimes:
    """Stands in for an `EnergyMeter` in a worker: notes when something is generated, by the machine's own clock."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Note nothing yet; `clock` has to be the same for all processes, as Linux's monotonic clock is."""
        self._clock = clock
        self._since = 0.0

    def start(self, _task: str) -> None:
        """Begin a stretch."""
        self._since = self._clock()

    def prepare(self) -> None:
        """Do nothing: the process that meters measures idle power, before workers begin."""

    def poll(self) -> None:
        """Do nothing: the process that meters reads all the time."""

    def close(self) -> None:
        """Do nothing."""

    @contextmanager
    def window(self, phase: str) -> Iterator[Window]:
        """Note when the block runs; see `EnergyMeter.window`."""
        found, since = Window(phase), self._clock()
        try:
            yield found
        finally:
            stretch = (since, self._clock())
            found.energy = EnergyFacts(undefined="the machine was not metered", stretches=(stretch,))

    def stop(self) -> EnergyFacts:
        """End the stretch."""
        return EnergyFacts(undefined="the machine was not metered", stretches=((self._since, self._clock()),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A reading of the whole machine."""

    begin_s: float
    end_s: float
    energy: EnergyFacts


class MachineMeter:
    """Meters the machine in the background, one slice after the other, from `start` to `stop`."""

    def __init__(self, meter: EnergyMeter, *, clock: Callable[[], float] = monotonic) -> None:
        """Prepare; the first slice takes a second more, in which the meter is made."""
        self._meter = meter
        self._clock = clock
        self._ended = Event()
        self._slices: list[Slice] = []
        self._thread = Thread(target=self._run, name="qeval-energy", daemon=True)

    def start(self) -> None:
        """Measure idle power where there is a counter, before workers begin, and begin."""
        if self._meter.counts:
            self._meter.prepare()
        self._thread.start()

    def cancel(self) -> None:
        """End without waiting for the last slice."""
        self._ended.set()

    def stop(self) -> Sequence[Slice]:
        """End, and return the slices; none where nothing was begun."""
        self.cancel()
        if self._thread.ident is not None:
            self._thread.join()
        self._meter.close()
        return self._slices

    def _run(self) -> None:
        while True:
            self._meter.start("machine")
            begin_s = self._clock()
            self._ended.wait(_SLICE_S)
            reading = self._meter.stop()
            self._slices.append(Slice(begin_s=begin_s, end_s=self._clock(), energy=reading))
            if reading.undefined or self._ended.is_set():
                return


def share_energy(slices: Sequence[Slice], parts: Sequence[GenerationFacts]) -> Iterator[GenerationFacts]:
    """Yield what workers generated with their share of the machine's energy.

    A slice is divided evenly among the workers that generate, in proportion to their time where that is a part of it;
    the time in which nobody generates counts for nobody.
    """
    undefined = next((one.energy for one in slices if one.energy.undefined), None)
    stretches = [part.energy.stretches for part in parts]
    if undefined or not slices:
        yield from (replace(part, energy=undefined or replace(part.energy, stretches=())) for part in parts)
        return
    busy_s = [[_overlap(one, own) for own in stretches] for one in slices]
    for index, part in enumerate(parts):
        times = [row[index] for row in busy_s]
        shares = [
            time / max(sum(row), one.end_s - one.begin_s) for time, row, one in zip(times, busy_s, slices, strict=True)
        ]
        yield replace(part, energy=_energy(slices, shares, covered_s=sum(times), stretches=stretches[index]))


def _overlap(one: Slice, stretches: Sequence[tuple[float, float]]) -> float:
    return sum(max(0.0, min(one.end_s, end) - max(one.begin_s, begin)) for begin, end in stretches)


def _energy(
    slices: Sequence[Slice], shares: Sequence[float], *, covered_s: float, stretches: Sequence[tuple[float, float]]
) -> EnergyFacts:
    total_s = sum(end - begin for begin, end in stretches)
    if not total_s:
        return EnergyFacts(undefined="nothing was generated")
    if covered_s < _COVERED * total_s:
        return EnergyFacts(undefined=f"the machine was metered for {covered_s:.0f} of {total_s:.0f} s of generating")
    parts = [_scaled(one.energy, share) for one, share in zip(slices, shares, strict=True)]
    total = EnergyFacts.total(parts)
    return replace(
        total,
        provenance="estimated" if total.provenance == "measured" else total.provenance,
        method=f"{total.method}; divided evenly among the workers that generate at a time",
        duration_s=covered_s,
    )


def _scaled(energy: EnergyFacts, share: float) -> EnergyFacts:
    """Return a share of what was metered."""
    known = {name: value for name in ADDED_UP if (value := getattr(energy, name)) is not None}
    return replace(energy, **{name: value * share for name, value in known.items()})
