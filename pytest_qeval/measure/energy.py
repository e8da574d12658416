"""Energy and emissions of a stretch of work, through codecarbon's offline tracker.

One tracker serves the whole session: it meters the machine, so a second one would count the same joules again.
"""

from __future__ import annotations

import logging
from typing import Any

from pytest_qeval.facts import EnergyFacts

__all__ = ["EnergyMeter"]

_COUNTERS = ("Rapl", "Emi", "GPU", "AppleSiliconChip")
"""Parts of codecarbon's hardware descriptions that stand for a counter; everything else is a power model."""


class EnergyMeter:
    """Meters one task at a time; `unavailable` says why it cannot, and every reading then repeats it."""

    def __init__(self, *, unavailable: str = "") -> None:
        """Prepare; the tracker itself is made when the first task starts, for it takes a second.

        Args:
            unavailable: why energy must not be metered in this process, when a caller knows a reason.
        """
        self._unavailable = unavailable
        self._tracker: Any = None
        self._task = ""

    def start(self, task: str) -> None:
        """Begin to meter a task; a task that is still running is dropped."""
        if self._task:
            self.stop()
        if self._unavailable or not self._ready():
            return
        self._tracker.start_task(task)
        self._task = task

    def stop(self) -> EnergyFacts:
        """End the task and give its energy; calling it without a task says so."""
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

    def _ready(self) -> bool:
        if self._tracker is None:
            try:
                self._tracker = _make_tracker()
            except ImportError:
                self._unavailable = "energy needs the package codecarbon: pip install 'pytest-qeval[energy]'"
        return not self._unavailable

    def _hardware(self) -> list[str]:
        return [str(part) for part in self._tracker._conf.get("hardware", [])]  # noqa: SLF001 - told nowhere else

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
    # Its set-up is announced on standard error before `log_level` is read.
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415 - heavy, and an extra

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
