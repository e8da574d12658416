"""Energy and emissions over windows of time: from counters where there are some, else from a power model.

One meter serves the whole session: it meters the machine, so a second one would count the same joules again. Its
readings are totals, and a window is the difference of two, so that windows may follow each other without gaps, and lie
inside each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_qeval.facts import EnergyFacts
from pytest_qeval.measure.powercap import Powercap
from pytest_qeval.measure.tracker import Tracker
from pytest_qeval.settings import EnergySettings

IDLE_S = 3.0
"""Seconds in which idle power is measured, before anything is loaded."""
_POLL_S = 1.0
"""Between readings inside a window: models follow the load, and counters start again at 0 after minutes."""
_J_PER_WH = 3600.0
NO_PACKAGE = "energy needs the package codecarbon: pip install 'pytest-qeval[energy]'"

Provenance = Literal["measured", "estimated", "declared"]


@dataclass(frozen=True, slots=True)
class Level:
    """A reading: totals since the meter was made."""

    at_s: float
    joules: Mapping[str, float]
    """By part."""


@dataclass(slots=True)
class Window:
    """A stretch of time that was metered; its energy is known when it ends."""

    phase: str
    energy: EnergyFacts = field(default_factory=lambda: EnergyFacts(undefined="the window is still open"))


class EnergyMeter:
    """Meters windows of time; everything is prepared on first use, or by `prepare`."""

    def __init__(
        self,
        settings: EnergySettings | None = None,
        *,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the user's settings; nothing is read yet.

        Args:
            settings: Country, and the power that the user has measured.
            root: `/` outside of tests.
            clock: Seconds that only go forward.
            sleep: Waits while idle power is measured.
        """
        self._settings = settings or EnergySettings()
        self._root, self._clock, self._sleep = root, clock, sleep
        self._ready = False
        self._unavailable = ""
        self._counters: Powercap | None = None
        self._tracker: Any = None
        self._idle_w: float | None = None
        self._since: Level | None = None
        self._polled_s = 0.0

    @property
    def counts(self) -> bool:
        """Whether the processor has a counter that can be read."""
        return not self._settings.power_w and bool(Powercap(self._root).parts)

    def prepare(self) -> None:
        """Find counters and models, and measure idle power where there is a counter; call it before loading."""
        if self._ready:
            return
        self._ready = True
        self._counters = Powercap(self._root)
        try:
            self._tracker = Tracker(country=self._settings.country)
        except ImportError:
            if not (self._counters.parts or self._settings.power_w):
                self._unavailable = NO_PACKAGE
        if not self._unavailable and self._provenance() == "measured":
            before = self._level()
            self._sleep(IDLE_S)
            after = self._level()
            self._idle_w = _joules_between(before, after) / (after.at_s - before.at_s)

    def start(self, _task: str) -> None:
        """Begin a window; one that is still open is dropped."""
        self.prepare()
        self._since = None if self._unavailable else self._level()

    def stop(self) -> EnergyFacts:
        """End the window and return its energy, undefined without one."""
        since, self._since = self._since, None
        if since is None:
            return EnergyFacts(undefined=self._unavailable or "nothing was metered")
        return self._between(since, self._level())

    @contextmanager
    def window(self, phase: str) -> Iterator[Window]:
        """Meter what the block does, such as repeated prefills; other windows go on."""
        self.prepare()
        found = Window(phase)
        since = None if self._unavailable else self._level()
        try:
            yield found
        finally:
            missing = EnergyFacts(undefined=self._unavailable)
            found.energy = missing if since is None else self._between(since, self._level())

    def poll(self) -> None:
        """Read inside a long window, once a second at most; call it as often as you like."""
        if self._since is not None and self._clock() - self._polled_s > _POLL_S:
            self._level()

    def close(self) -> None:
        """Read no more; calling it twice is fine."""
        if self._tracker:
            self._tracker.close()
        self._ready, self._unavailable, self._tracker, self._since = True, "the meter is closed", None, None

    def _level(self) -> Level:
        at_s = self._polled_s = self._clock()
        if self._settings.power_w:
            if self._tracker:
                self._tracker.read()  # which knows the grid
            return Level(at_s, {"machine": self._settings.power_w * at_s})
        modelled = self._tracker.read() if self._tracker else {}
        joules = {**modelled, **(self._counters.read() if self._counters else {})}
        return Level(at_s, {part: joules[part] for part in self._parts()})

    def _between(self, before: Level, after: Level) -> EnergyFacts:
        duration_s, joules = after.at_s - before.at_s, _joules_between(before, after)
        idle_w = self._idle()
        above_j = None if idle_w is None else max(0.0, joules - idle_w * duration_s)
        grid = self._tracker.grid_g_per_kwh if self._tracker else None
        return EnergyFacts(
            energy_wh=joules / _J_PER_WH,
            above_idle_wh=None if above_j is None else above_j / _J_PER_WH,
            idle_w=idle_w,
            duration_s=duration_s,
            emissions_g=None if grid is None else grid * joules / _J_PER_WH / 1000,
            grid_g_per_kwh=grid,
            provenance=self._provenance(),
            method=self._method(),
            settings=self._tracker.settings if self._tracker else (),
            not_measured="" if self._provenance() == "measured" else self._counters.missing if self._counters else "",
        )

    def _idle(self) -> float | None:
        """Return the power of the idle machine: measured before, or by the same model; None where that is unknown."""
        if self._idle_w is not None or self._settings.power_w or not self._tracker or self._provenance() == "measured":
            return self._idle_w
        idle_w: float | None = self._tracker.idle_w()
        return idle_w

    def _provenance(self) -> Provenance:
        if self._settings.power_w:
            return "declared"
        parts = self._parts()
        return "measured" if parts and all(counted for counted, _ in parts.values()) else "estimated"

    def _parts(self) -> dict[str, tuple[bool, str]]:
        """Return what is metered: whether by a counter, and how. No model is added to the processor's counter."""
        zones = self._counters.parts if self._counters else {}
        found = dict(self._tracker.parts) if self._tracker else {}
        found.update({part: (True, f"counter ({names})") for part, names in zones.items()})
        if found.get("cpu", (False, ""))[0]:
            return {part: how for part, how in found.items() if how[0]}
        return found

    def _method(self) -> str:
        if self._settings.power_w:
            parts = [f"--qeval-power-watts {self._settings.power_w:g} × time"]
        else:
            parts = [f"{part}: {how}" for part, (_, how) in sorted(self._parts().items())]
            parts += [] if "ram" in self._parts() else ["memory not counted: it has no counter"]
        grid = self._tracker.grid if self._tracker else ""
        return "; ".join([*parts, f"grid: {grid or 'unknown without codecarbon'}"])


def _joules_between(before: Level, after: Level) -> float:
    return sum(joules - before.joules.get(part, 0.0) for part, joules in after.joules.items())
