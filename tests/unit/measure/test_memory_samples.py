"""Samples of resident memory, private, mapped and shared apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from pytest_qeval.measure.memory_samples import MemorySampler, Resident, read_resident

STATUS = "VmHWM:\t  9000 kB\nVmRSS:\t  700 kB\nRssAnon:\t  400 kB\nRssFile:\t  200 kB\nRssShmem:\t  100 kB\n"


def test_the_kernel_tells_pages_apart(tmp_path: Path) -> None:
    """Where it does not, or there is no such file, nothing is known."""
    (tmp_path / "status").write_text(STATUS)
    assert read_resident(tmp_path / "status") == Resident(400 * 1024, 200 * 1024, 100 * 1024)
    assert read_resident(tmp_path / "nowhere").total == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells them apart")
def test_this_process_has_private_and_mapped_pages() -> None:
    found = read_resident()
    assert found.private > 0
    assert found.mapped > 0


def sampler(sizes: list[int]) -> MemorySampler:
    """Return one that finds these sizes at times 0, 1, 2, and so on."""
    ticks: Iterator[int] = count()
    found = iter(sizes)
    made = MemorySampler(read=lambda: Resident(next(found), 0, 0), clock=lambda: float(next(ticks)))
    for _ in sizes:
        made.sample()
    return made


def test_the_largest_sample_of_a_stretch_is_found() -> None:
    """Both ends count; between two samples it is the nearer one."""
    made = sampler([5, 9, 3, 7])
    assert made.largest(0, 3).total == 9
    assert made.largest(2, 3).total == 7
    assert made.largest(1.6, 1.9).total == 3


def test_samples_are_taken_until_it_is_stopped() -> None:
    made = MemorySampler(read=lambda: Resident(1, 2, 3))
    made.start()
    made.stop()
    assert made.largest(0, float("inf")) == Resident(1, 2, 3)
