"""Energy counters of the processor, as Linux shows them under /sys/class/powercap (RAPL, of Intel and of AMD).

A counter gives microjoules and starts again at 0 beyond `max_energy_range_uj`: after minutes under load, so it has to
be read more often than that. Since 2020 only root may read it (CVE-2020-8694: power readings leak secrets).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path("sys/class/powercap")
_PARTS = {"package": "cpu", "dram": "ram"}
"""Zones that are counted, by the first word of their name. `core` and `uncore` are parts of a package, and `psys` holds
all of them."""
_SAME_J = 1.0
"""Dies of one package that show the package's counter differ by what is used between two readings."""
NO_ACCESS = (
    "only root may read this machine's energy counters; "
    "'sudo chmod a+r /sys/class/powercap/*/energy_uj' allows it until the next start, a udev rule for good"
)
NO_COUNTER = "this machine shows no energy counter, as is usual for virtual machines and containers"


@dataclass(slots=True, kw_only=True)
class _Zone:
    """One counter."""

    file: Path
    name: str
    part: str
    range_j: float
    last_j: float
    total_j: float = 0.0

    def read(self) -> float:
        """Return the joules since the zone was found."""
        now_j = _joules(self.file)
        self.total_j += now_j - self.last_j + (self.range_j if now_j < self.last_j else 0.0)
        self.last_j = now_j
        return self.total_j


class Powercap:
    """All readable counters of packages and memory, and why there is none."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Look for counters below `root`, which is `/` outside of tests."""
        self.missing = NO_COUNTER
        self._zones: list[_Zone] = []
        for folder in sorted((root / _FOLDER).glob("intel-rapl:*")):
            self._try(folder)
        if not any(zone.part == "cpu" for zone in self._zones):
            self._zones.clear()  # memory alone is no measure
        if self._zones:
            self.missing = ""

    def _try(self, folder: Path) -> None:
        """Take a zone, unless it is forbidden, or switched off as in some virtual machines."""
        try:
            self._add(folder)
        except PermissionError:
            self.missing = NO_ACCESS
        except (OSError, ValueError):
            pass

    def _add(self, folder: Path) -> None:
        name = (folder / "name").read_text(encoding="ascii").strip()
        part = _PARTS.get(name.partition("-")[0])
        if part is None:
            return
        file = folder / "energy_uj"
        now_j, range_j = _joules(file), _joules(folder / "max_energy_range_uj")
        package = "-".join(name.split("-")[:2])
        twins = (zone for zone in self._zones if "-die-" in name and zone.name.startswith(f"{package}-"))
        if not any(abs(zone.last_j - now_j) <= _SAME_J for zone in twins):
            self._zones.append(_Zone(file=file, name=name, part=part, range_j=range_j, last_j=now_j))

    @property
    def parts(self) -> dict[str, str]:
        """What is counted: names of zones by part (`cpu`, `ram`); empty without counters."""
        return {
            part: ", ".join(zone.name for zone in self._zones if zone.part == part)
            for part in dict.fromkeys(zone.part for zone in self._zones)
        }

    def read(self) -> dict[str, float]:
        """Return the joules since this was made, by part.

        Raises:
            OSError: when a counter has become unreadable.
        """
        totals = dict.fromkeys(self.parts, 0.0)
        for zone in self._zones:
            totals[zone.part] += zone.read()
        return totals


def _joules(file: Path) -> float:
    return int(file.read_text(encoding="ascii")) / 1e6
