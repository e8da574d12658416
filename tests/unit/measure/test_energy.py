from types import SimpleNamespace

import pytest

from pytest_qeval.facts import EnergyFacts
from pytest_qeval.measure import energy
from pytest_qeval.measure.energy import EnergyMeter


class FakeTracker:
    """Counts one watt-hour a task."""

    def __init__(self, *hardware: str) -> None:
        self._conf = {"hardware": list(hardware)}
        self.tasks: list[str] = []

    def start_task(self, name: str) -> None:
        self.tasks.append(name)

    def stop_task(self, name: str) -> SimpleNamespace:
        assert name == self.tasks[-1]
        return SimpleNamespace(energy_consumed=0.001, emissions=0.0004, country_iso_code="FRA")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeTracker]:
    trackers: list[FakeTracker] = []

    def make() -> FakeTracker:
        trackers.append(FakeTracker("CPU(Cpu Load)", "RAM()"))
        return trackers[-1]

    monkeypatch.setattr(energy, "_make_tracker", make)
    return trackers


def test_one_tracker_serves_all_tasks(made: list[FakeTracker]) -> None:
    """A second tracker would count the same joules again."""
    meter = EnergyMeter()
    facts = []
    for task in ("auto", "int8"):
        meter.start(task)
        facts.append(meter.stop())

    assert len(made) == 1
    assert made[0].tasks == ["auto", "int8"]
    assert [(fact.energy_wh, fact.emissions_g, fact.provenance) for fact in facts] == [(1.0, 0.4, "estimated")] * 2


def test_a_missing_package_is_a_reason_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Energy is an extra; the report names it."""

    def absent() -> None:
        raise ImportError

    monkeypatch.setattr(energy, "_make_tracker", absent)
    meter = EnergyMeter()
    meter.start("int8")

    assert "pytest-qeval[energy]" in meter.stop().undefined


@pytest.mark.parametrize(
    ("hardware", "provenance"),
    [
        (("CPU(Intel Rapl)",), "measured"),
        (("CPU(Intel Rapl)", "RAM()"), "estimated"),
        (("CPU(Cpu Load)", "RAM()"), "estimated"),
        ((), "estimated"),
    ],
)
def test_only_counters_alone_are_called_measured(
    monkeypatch: pytest.MonkeyPatch, hardware: tuple[str, ...], provenance: str
) -> None:
    """One modelled part makes the sum an estimate."""
    monkeypatch.setattr(energy, "_make_tracker", lambda: FakeTracker(*hardware))
    meter = EnergyMeter()
    meter.start("int8")
    facts = meter.stop()

    assert facts.provenance == provenance
    assert facts.method.endswith("grid: FRA; whole machine, idle power included")


def test_the_real_tracker_writes_nothing_and_needs_no_network(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Codecarbon itself: a positive estimate, no file, no word on the terminal."""
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    monkeypatch.chdir(str(tmp_path))
    meter = EnergyMeter()
    meter.start("task")
    facts = meter.stop()

    assert facts.energy_wh is not None
    assert facts.energy_wh >= 0
    assert facts.provenance in {"measured", "estimated"}
    assert capfd.readouterr() == ("", "")


def test_a_total_is_undefined_when_a_part_is() -> None:
    """Half a number is no number."""
    part = EnergyFacts(energy_wh=1.0, emissions_g=0.5, provenance="estimated", method="m")

    assert EnergyFacts.total([part, part]).energy_wh == 2.0
    assert EnergyFacts.total([part, EnergyFacts(undefined="why")]).undefined == "why"
    assert EnergyFacts.total([]).undefined == "nothing was generated"
