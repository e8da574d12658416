"""Energy and emissions of a task, measured by codecarbon's offline tracker.

One tracker serves the whole session: it meters the machine, so a second one would count the same joules again.
"""

from __future__ import annotations

import logging
from typing import Any

from pytest_qeval.facts import EnergyFacts

_COUNTERS = ("Rapl", "Emi", "GPU", "AppleSiliconChip")
"""Words in codecarbon's hardware descriptions that mean a counter; everything else is a power model."""


class EnergyMeter:
    """Meters one task at a time."""

    def __init__(self) -> None:
        """Prepare; the tracker is made when the first task starts, because that takes a second."""
        self._unavailable = ""
        self._tracker: Any = None
        self._task = ""

    def start(self, task: str) -> None:
        """Begin to meter a task; a task that is still running is dropped."""
        if self._task:
            self.stop()
        if not self._unavailable and self._prepare():
            self._tracker.start_task(task)
            self._task = task

    def stop(self) -> EnergyFacts:
        """End the task and return its energy, undefined without a task."""
        if self._unavailable or not self._task:
            return EnergyFacts(undefined=self._unavailable or "nothing was metered")
        data = self._tracker.stop_task(self._task)
        self._task = ""
        return EnergyFacts(
            energy_wh=data.energy_consumed * 1000,
            emissions_g=data.emissions * 1000,
            provenance=self._provenance(),
            method=self._method(data),
        )

    def _prepare(self) -> bool:
        if self._tracker is None:
            try:
                self._tracker = _make_tracker()
            except ImportError:
                self._unavailable = "energy needs the package codecarbon: pip install 'pytest-qeval[energy]'"
        return not self._unavailable

    def _hardware(self) -> list[str]:
        return [str(part) for part in self._tracker._conf.get("hardware", [])]  # noqa: SLF001 - no public name

    def _provenance(self) -> Any:
        counted = [any(word in part for word in _COUNTERS) for part in self._hardware()]
        return "measured" if counted and all(counted) else "estimated"

    def _method(self, data: Any) -> str:
        parts = [f"{part.partition('(')[0].lower()}: {_explain(part)}" for part in sorted(self._hardware())]
        grid = data.country_iso_code or "world average"
        return "; ".join([*parts, f"grid: {grid}", "whole machine, idle power included"])


def _explain(part: str) -> str:
    inside = part.partition("(")[2].removesuffix(")")
    if any(word in part for word in _COUNTERS):
        return f"counter ({inside})" if inside else "counter"
    return {"Cpu Load": "load × TDP model", "": "constant power model"}.get(inside, f"power model ({inside})")


def _make_tracker() -> Any:
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415 - heavy, and an extra

    # The tracker logs its set-up to standard error before it reads `log_level`; importing it has set another level.
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    tracker = OfflineEmissionsTracker(
        project_name="pytest-qeval",
        measure_power_secs=1,
        output_methods=[],
        tracking_mode="machine",
        allow_multiple_runs=True,
        log_level="critical",
    )
    tracker.get_detected_hardware()  # detects now, outside of the first task
    return tracker
