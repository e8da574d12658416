"""What is taken from codecarbon: parts, the container's share of memory, and the settings that decide."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qeval.measure import tracker
from pytest_qeval.measure.tracker import Tracker

GIB = 2**30


class CPU:
    _tdp = 40.0

    def description(self) -> str:
        return "CPU(Cpu Load)"


class ConstantCPU(CPU):
    def description(self) -> str:
        return "CPU(Xeon > 40W)"


class CountedCPU(CPU):
    def description(self) -> str:
        return "CPU(Intel Rapl)"


class RAM:
    def description(self) -> str:
        return "RAM()"


class FakeCodecarbon:
    """Uses 40 W and 8 W of memory in every task of 45 s."""

    def __init__(self, *hardware: Any) -> None:
        self._hardware = list(hardware)
        self._conf = {"ram_total_size": 64.0}
        self.open = 0

    def start_task(self, _name: str) -> None:
        self.open += 1

    def stop_task(self) -> SimpleNamespace:
        self.open -= 1
        return SimpleNamespace(
            cpu_energy=0.0005,
            ram_energy=0.0001,
            gpu_energy=0.0,
            energy_consumed=0.0006,
            emissions=0.0003,
            ram_power=8.0,
            country_iso_code="FRA",
            cloud_region="",
        )


def made(monkeypatch: pytest.MonkeyPatch, *hardware: Any, limit_gib: int = 64, **settings: str) -> Tracker:
    fake = FakeCodecarbon(*hardware)
    found = {name: (value, "~/.codecarbon.config") for name, value in settings.items()}
    monkeypatch.setattr(tracker, "_make_tracker", lambda _country: (fake, found))
    monkeypatch.setattr(tracker, "total_memory_bytes", lambda: limit_gib * GIB)
    return Tracker()


def test_readings_are_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codecarbon's tasks follow each other without a gap."""
    subject = made(monkeypatch, CPU(), RAM())
    subject.read()

    assert subject.read() == {"cpu": pytest.approx(3600), "ram": pytest.approx(720), "gpu": 0.0}
    assert subject.grid == "FRA 500 g/kWh"
    assert subject.grid_g_per_kwh == pytest.approx(500)
    subject.close()
    assert subject._tracker.open == 0


def test_memory_is_the_share_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of 16 GiB on a host of 64; the user's own figure is taken as it is."""
    assert made(monkeypatch, CPU(), RAM(), limit_gib=16).read()["ram"] == pytest.approx(90)
    assert "× 25% (this container's share)" in made(monkeypatch, CPU(), RAM(), limit_gib=16).parts["ram"][1]
    assert made(monkeypatch, CPU(), RAM(), limit_gib=16, force_ram_power="8").read()["ram"] == pytest.approx(360)


@pytest.mark.parametrize(
    ("cpu", "part", "idle_w"),
    [
        (CPU(), (False, "load × TDP 40 W"), pytest.approx(4 + 8)),
        (ConstantCPU(), (False, "constant power model 40 W"), None),
        (CountedCPU(), (True, "counter"), None),
    ],
    ids=["load", "constant", "counter"],
)
def test_parts_say_how_and_what_idleness_takes(
    monkeypatch: pytest.MonkeyPatch, cpu: CPU, part: tuple[bool, str], idle_w: object
) -> None:
    """Codecarbon gives a tenth of the TDP to an idle processor, and the same power to idle memory."""
    subject = made(monkeypatch, cpu, RAM())
    subject.read()

    assert subject.parts == {"cpu": part, "ram": (False, "constant power model")}
    assert subject.idle_w() == idle_w


def test_settings_have_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(monkeypatch, CPU(), pue="1.5").settings == ("pue=1.5 (~/.codecarbon.config)",)
