"""Codecarbon's offline tracker: power models where there is no counter, GPUs, and the carbon of the grid."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pytest_qeval.measure.machine import total_memory_bytes

_COUNTERS = ("Rapl", "Emi", "GPU", "AppleSiliconChip", "Raspberry")
"""Words in codecarbon's hardware descriptions that mean a counter; everything else is a power model."""
_DECIDING = (
    "force_cpu_power",
    "force_ram_power",
    "force_mode_cpu_load",
    "force_carbon_intensity_g_co2e_kwh",
    "pue",
    "rapl_include_dram",
    "rapl_prefer_psys",
    "gpu_ids",
    "country_iso_code",
    "region",
    "cloud_provider",
    "cloud_region",
)
"""Codecarbon's own settings that decide a number."""
_LOAD_MODEL = "Cpu Load"
_IDLE_SHARE = 0.1
"""Of the TDP: what the load model (TDP × (0.1 + 0.9 × load³)) gives for an idle processor."""
_J_PER_KWH = 3.6e6


class _NoThread:
    """Stands in for the thread that samples power every second: readings follow each other as closely.

    Stopping such a thread may come just before it starts its successor, which then never ends (codecarbon 3.3).
    """

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class Tracker:
    """Reads totals from codecarbon, which only has tasks: each reading ends one and begins the next."""

    def __init__(self, *, country: str | None = None) -> None:
        """Detect the hardware, which takes a second; nothing is written, logged or asked of the network.

        Raises:
            ImportError: without codecarbon.
        """
        self._tracker, self._settings = _make_tracker(country)
        self._joules = dict.fromkeys(("cpu", "ram", "gpu"), 0.0)
        self._ram_w = 0.0  # which the model takes for constant
        self._ram_share = 1.0 if "force_ram_power" in self._settings else _ram_share(self._conf("ram_total_size"))
        self.grid = ""
        """Country code and grams, such as `FRA 56 g/kWh`; empty before anything was used."""
        self.grid_g_per_kwh: float | None = None
        self._tracker.start_task("qeval")

    def read(self) -> Mapping[str, float]:
        """Return the joules so far, by part: cpu, ram, gpu; of RAM the share of this container."""
        data = self._tracker.stop_task()
        self._tracker.start_task("qeval")
        for part, kwh in (
            ("cpu", data.cpu_energy),
            ("ram", data.ram_energy * self._ram_share),
            ("gpu", data.gpu_energy),
        ):
            self._joules[part] += kwh * _J_PER_KWH
        if data.energy_consumed:
            self.grid_g_per_kwh = 1000 * data.emissions / data.energy_consumed
            name = data.cloud_region or data.country_iso_code or "world average"
            self.grid = f"{name} {self.grid_g_per_kwh:.0f} g/kWh"
        self._ram_w = data.ram_power * self._ram_share
        return dict(self._joules)

    @property
    def parts(self) -> dict[str, tuple[bool, str]]:
        """By part: whether a counter is read, and how the number comes about."""
        found: dict[str, tuple[bool, str]] = {}
        for device in self._tracker._hardware:  # noqa: SLF001 - no public name
            part, text = _part_of(device), device.description()
            counted = any(word in text for word in _COUNTERS)
            found[part] = counted, "counter" if counted else self._explain(part, device, text)
        return found

    def _explain(self, part: str, device: Any, text: str) -> str:
        if part == "ram":
            share = f" × {self._ram_share:.0%} (this container's share)" if self._ram_share < 1 else ""
            return f"constant power model{share}"
        tdp = getattr(device, "_tdp", None)
        watts = f" {tdp:g} W" if tdp else ""
        return f"load × TDP{watts}" if _LOAD_MODEL in text else f"constant power model{watts}"

    def idle_w(self) -> float | None:
        """Return what the models give for an idle machine; None for one that does not know idleness."""
        idle_w = self._ram_w
        for device in self._tracker._hardware:  # noqa: SLF001 - as above
            if _part_of(device) == "cpu":
                tdp = getattr(device, "_tdp", None)
                if _LOAD_MODEL not in device.description() or not tdp:
                    return None
                idle_w += _IDLE_SHARE * tdp
        return idle_w

    @property
    def settings(self) -> tuple[str, ...]:
        """Codecarbon's own settings that decide a number, such as `force_cpu_power=45 (CODECARBON_FORCE_CPU_POWER)`."""
        return tuple(f"{name}={value} ({source})" for name, (value, source) in sorted(self._settings.items()))

    def close(self) -> None:
        """End the last task; there are no readings afterwards."""
        self._tracker.stop_task()

    def _conf(self, name: str) -> Any:
        return self._tracker._conf.get(name)  # noqa: SLF001 - as above


def _part_of(device: Any) -> str:
    kind = type(device).__name__
    chip = str(getattr(device, "chip_part", kind)).lower()  # of Apple's chips and the Raspberry Pi
    return chip if chip in {"cpu", "ram", "gpu"} else "cpu"


def _ram_share(total_gib: Any) -> float:
    """Return which part of the memory that codecarbon counts this container may use."""
    counted = float(total_gib or 0) * 2**30
    return min(1.0, total_memory_bytes() / counted) if counted else 1.0


def _make_tracker(country: str | None) -> tuple[Any, Mapping[str, tuple[str, str]]]:
    """Make the tracker; return it and the deciding settings, each with its value and its source."""
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415 - heavy, and an extra
    from codecarbon.core.config import get_hierarchical_config_with_sources  # noqa: PLC0415 - as above

    # The tracker logs its set-up to standard error before it reads `log_level`; importing it has set another level.
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    options: dict[str, Any] = {"country_iso_code": country} if country else {}
    tracker: Any = OfflineEmissionsTracker(
        project_name="pytest-qeval",
        measure_power_secs=1,
        output_methods=[],
        tracking_mode="machine",
        allow_multiple_runs=True,
        electricitymaps_api_token="",  # a token in the user's settings would make it ask the network
        log_level="critical",
        **options,
    )
    tracker.get_detected_hardware()  # detects now, outside of the first task
    no_thread: Any = _NoThread()
    tracker._scheduler_monitor_power = no_thread  # noqa: SLF001 - no public switch
    config, sources = get_hierarchical_config_with_sources()
    deciding = [name for name in _DECIDING if name in config and not (country and name == "country_iso_code")]
    return tracker, {name: (config[name], sources[name]) for name in deciding}
