"""Energy of windows: differences of readings, by counters, by a model, or by the user's own figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.facts import EnergyFacts
from pytest_qeval.measure import energy
from pytest_qeval.measure.energy import IDLE_S, EnergyMeter
from pytest_qeval.settings import EnergySettings

MODEL = {"cpu": (False, "load × TDP 40 W"), "ram": (False, "constant power model")}


class FakeMachine:
    """A clock, and a processor and memory that use power; the tracker and the counter both follow it."""

    def __init__(self, root: Path) -> None:
        self.now = 0.0
        self.joules = {"cpu": 0.0, "ram": 0.0}
        self.counter = root / "sys/class/powercap/intel-rapl:0"
        self.closed = 0

    def run(self, seconds: float, *, cpu_w: float = 0.0, ram_w: float = 5.0) -> None:
        self.now += seconds
        self.joules["cpu"] += cpu_w * seconds
        self.joules["ram"] += ram_w * seconds
        if self.counter.exists():
            (self.counter / "energy_uj").write_text(str(round(1e6 * self.joules["cpu"]) % 1_000_000_000))

    def show_counter(self) -> None:
        self.counter.mkdir(parents=True)
        for name, content in (("name", "package-0"), ("energy_uj", "0"), ("max_energy_range_uj", "1000000000")):
            (self.counter / name).write_text(content)


class FakeTracker:
    """Stands in for codecarbon."""

    parts: Mapping[str, tuple[bool, str]] = MODEL
    grid, grid_g_per_kwh = "FRA 50 g/kWh", 50.0
    settings = ("force_cpu_power=40 (CODECARBON_FORCE_CPU_POWER)",)

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine

    def read(self) -> Mapping[str, float]:
        return {**self.machine.joules, "gpu": 0.0}

    def idle_w(self) -> float:
        return 9.0

    def close(self) -> None:
        self.machine.closed += 1


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    found = FakeMachine(tmp_path)
    monkeypatch.setattr(energy, "Tracker", lambda country: FakeTracker(found) if country is None else None)
    return found


def meter_of(machine: FakeMachine, tmp_path: Path, **told: Any) -> EnergyMeter:
    return EnergyMeter(
        EnergySettings(**told), root=tmp_path, clock=lambda: machine.now, sleep=lambda s: machine.run(s, cpu_w=10.0)
    )


def test_a_model_is_an_estimate_with_idle_power_by_the_same_model(machine: FakeMachine, tmp_path: Path) -> None:
    meter = meter_of(machine, tmp_path)
    meter.prepare()
    machine.run(1000, cpu_w=99.0)  # loading
    meter.start("int8")
    machine.run(3600, cpu_w=30.0)
    found = meter.stop()

    assert (found.energy_wh, found.above_idle_wh, found.idle_w) == pytest.approx((35.0, 26.0, 9.0))
    assert (found.duration_s, found.emissions_g) == pytest.approx((3600, 35 * 50 / 1000))
    assert found.provenance == "estimated"
    assert found.method == "cpu: load × TDP 40 W; ram: constant power model; grid: FRA 50 g/kWh"
    assert "no energy counter" in found.not_measured
    assert found.settings == FakeTracker.settings


def test_a_counter_is_measured_without_the_memory_of_the_model(machine: FakeMachine, tmp_path: Path) -> None:
    """Idle power is measured before anything is loaded; the counter starts again at 0 once."""
    machine.show_counter()
    meter = meter_of(machine, tmp_path)
    meter.prepare()
    machine.run(10, cpu_w=95.0)  # loading
    meter.start("int8")
    machine.run(36, cpu_w=20.0)
    found = meter.stop()

    assert machine.now == IDLE_S + 46
    assert (found.energy_wh, found.above_idle_wh, found.idle_w) == pytest.approx((0.2, 0.1, 10.0))
    assert (found.provenance, found.not_measured) == ("measured", "")
    assert found.method == "cpu: counter (package-0); memory not counted: it has no counter; grid: FRA 50 g/kWh"


def test_a_window_is_read_in_between_lest_the_counter_starts_again_unseen(machine: FakeMachine, tmp_path: Path) -> None:
    machine.show_counter()
    meter = meter_of(machine, tmp_path)
    meter.start("int8")
    for _ in range(36):
        machine.run(100, cpu_w=9.0)
        meter.poll()

    assert meter.stop().energy_wh == pytest.approx(9.0)


def test_windows_may_lie_inside_each_other(machine: FakeMachine, tmp_path: Path) -> None:
    meter = meter_of(machine, tmp_path)
    meter.start("int8")
    machine.run(36, cpu_w=5.0)
    with meter.window("prefill") as inner:
        machine.run(36, cpu_w=15.0)
    machine.run(36, cpu_w=5.0)

    assert inner.energy.energy_wh == pytest.approx(0.2)
    assert meter.stop().energy_wh == pytest.approx(0.4)


def test_the_figure_of_the_user_wins_over_the_counter(machine: FakeMachine, tmp_path: Path) -> None:
    machine.show_counter()
    meter = meter_of(machine, tmp_path, power_w=60.0)
    meter.start("int8")
    machine.run(1800, cpu_w=20.0)
    found = meter.stop()

    assert found.energy_wh == pytest.approx(30.0)
    assert found.above_idle_wh is None
    assert (found.provenance, found.method) == ("declared", "--qeval-power-watts 60 × time; grid: FRA 50 g/kWh")


@pytest.mark.parametrize(
    ("kind", "energy_wh"), [("nothing", None), ("counter", pytest.approx(0.1)), ("declared", pytest.approx(0.6))]
)
def test_without_codecarbon_counters_and_the_figure_of_the_user_are_left(
    machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, energy_wh: object
) -> None:
    """Their emissions are unknown, and without either there is a reason."""

    def absent(**_: Any) -> None:
        raise ImportError

    monkeypatch.setattr(energy, "Tracker", absent)
    if kind == "counter":
        machine.show_counter()
    meter = meter_of(machine, tmp_path, power_w=60.0 if kind == "declared" else None)
    meter.start("int8")
    machine.run(36, cpu_w=10.0)
    found = meter.stop()

    assert found.energy_wh == energy_wh
    assert found.emissions_g is None
    assert ("pytest-qeval[energy]" in found.undefined) == (kind == "nothing")


def test_a_closed_meter_measures_nothing(machine: FakeMachine, tmp_path: Path) -> None:
    meter = meter_of(machine, tmp_path)
    meter.start("int8")
    meter.close()
    meter.close()

    assert machine.closed == 1
    assert meter.stop().undefined == "the meter is closed"


def test_the_real_tracker_writes_nothing_and_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Codecarbon itself: an estimate, no file, no word on the terminal, and its settings by name."""
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODECARBON_FORCE_CPU_POWER", "45")
    monkeypatch.setenv("CODECARBON_ELECTRICITYMAPS_API_TOKEN", "secret")
    meter = EnergyMeter(EnergySettings(country="FRA"), root=tmp_path)
    meter.start("task")
    found = meter.stop()
    meter.close()

    assert found.energy_wh is not None
    assert found.energy_wh >= 0
    assert "grid: FRA 56 g/kWh" in found.method
    assert found.settings == ("force_cpu_power=45 (CODECARBON_FORCE_CPU_POWER)",)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_total_is_undefined_when_a_part_is() -> None:
    """Half a number is no number."""
    part = EnergyFacts(energy_wh=1.0, above_idle_wh=0.5, emissions_g=0.5, provenance="estimated", method="m")

    assert EnergyFacts.total([part, part]).energy_wh == 2.0
    assert EnergyFacts.total([part, part]).above_idle_wh == 1.0
    assert EnergyFacts.total([part, EnergyFacts(energy_wh=1.0)]).above_idle_wh is None
    assert EnergyFacts.total([part, EnergyFacts(undefined="why")]).undefined == "why"
    assert EnergyFacts.total([]).undefined == "nothing was generated"
