"""What disturbs a block: other processes, the hypervisor, the clock frequency and heat, as far as the system tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qeval.measure.contention import Watch, own_cpu_s
from pytest_qeval.measure.timing_facts import Contention


class Machine:
    """A made-up `/proc` and `/sys` of two cores, a clock, and this process's own time."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.own = root, 100.0, 3.0
        self.busy = self.stolen = self.interrupts = 0
        self.write()

    def write(self, frequency: int | None = None, throttled: int | None = None) -> None:
        (self.root / "proc").mkdir(exist_ok=True)
        line = f" {self.busy} 0 0 999 5 0 {self.interrupts} {self.stolen} 0 0\n"
        (self.root / "proc/stat").write_text(f"cpu {line}cpu0{line}cpu1{line}intr 5\n", encoding="utf-8")
        for core in (0, 1):
            for name, value in (
                ("cpufreq/scaling_cur_freq", frequency),
                ("thermal_throttle/core_throttle_count", throttled),
            ):
                path = self.root / f"sys/devices/system/cpu/cpu{core}/{name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                if value is not None:
                    path.write_text(f"{value}\n", encoding="utf-8")

    def watch(self) -> Watch:
        return Watch(root=self.root, own_s=lambda: self.own, clock=lambda: self.now)


def test_shares_are_of_all_cores(tmp_path: Path) -> None:
    """Of two seconds of two cores, this process took 2.0, others 0.8 and the hypervisor 0.4; interrupts count for none.

    The kernel counts in hundredths of a second.
    """
    machine = Machine(tmp_path)
    watch = machine.watch()
    watch.start()
    machine.now, machine.own, machine.busy, machine.stolen, machine.interrupts = 102.0, 5.0, 280, 40, 900
    machine.write()
    found = watch.stop()

    assert (found.duration_s, found.cores) == (2.0, 2)
    assert found.others == pytest.approx(0.2)
    assert found.stolen == pytest.approx(0.1)
    assert (found.frequency, found.throttled) == (None, None)
    assert found.reason == "other processes took 20% of the machine, the hypervisor took 10% of the machine"


def test_frequency_and_heat(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write(frequency=3_000_000, throttled=4)
    watch = machine.watch()
    watch.start()
    machine.now += 1
    machine.write(frequency=2_400_000, throttled=5)
    found = watch.stop()

    assert found.frequency == pytest.approx(0.8)
    assert found.throttled == 2
    assert found.reason == "the clock frequency changed to 80%, cores were slowed down because of heat"


def test_a_system_that_tells_nothing_disturbs_nothing(tmp_path: Path) -> None:
    """As outside of Linux."""
    watch = Watch(root=tmp_path, own_s=lambda: 0.0, clock=lambda: 1.0)
    watch.start()
    found = watch.stop()

    assert (found.others, found.stolen, found.frequency, found.throttled, found.reason) == (None, None, None, None, "")


def test_a_block_that_was_not_begun_has_no_end() -> None:
    with pytest.raises(RuntimeError, match="no block"):
        Watch(own_s=lambda: 0.0).stop()


@pytest.mark.parametrize(
    ("duration_s", "others", "disturbed"),
    [(1.0, 0.05, False), (1.0, 0.06, True), (0.1, 0.14, False), (0.1, 0.16, True), (1.0, None, False)],
)
def test_a_share_counts_above_a_limit_and_above_what_the_kernel_can_tell(
    duration_s: float, others: float | None, *, disturbed: bool
) -> None:
    """Three ticks of 0.01 s are 15 % of a tenth of a second on two cores."""
    assert bool(Contention(duration_s=duration_s, cores=2, others=others).reason) == disturbed


def test_own_time_includes_children() -> None:
    """It only grows."""
    assert 0 < own_cpu_s() <= own_cpu_s()
