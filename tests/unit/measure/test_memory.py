"""Peaks are the kernel's, and each object has its own."""

import gc
import mmap
import sys
from pathlib import Path

import pytest

from pytest_qeval.measure import memory
from pytest_qeval.measure.memory import PeakMemory

MEGABYTE = 2**20
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a high-water mark that can be reset")


@LINUX
def test_the_peak_is_remembered_and_can_be_reset() -> None:
    """A hundred megabytes that came and went are seen by the object made before them, and not by the one made after."""
    before = PeakMemory()
    start = before.read()
    touch(100)
    peak = before.read()
    after = PeakMemory().read()

    assert start is not None
    assert peak is not None
    assert after is not None
    assert peak - start > 80 * MEGABYTE
    assert peak - after > 80 * MEGABYTE


def touch(megabytes: int) -> None:
    """Take memory, write to every page of it, and give it back; the heap would keep it, or have it already."""
    with mmap.mmap(-1, megabytes * MEGABYTE) as block:
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1


def read(peak: PeakMemory) -> int:
    """Return the peak in megabytes."""
    value = peak.read()
    assert value is not None
    return value // MEGABYTE


@LINUX
def test_an_earlier_object_remembers_what_a_later_one_resets() -> None:
    """The outer one has seen 200 MB before the inner one is made, which has not."""
    outer = PeakMemory()
    start = read(outer)
    touch(200)
    inner = PeakMemory()

    assert read(outer) - start > 180
    assert read(inner) - start < 60


@LINUX
def test_an_outer_object_sees_what_the_inner_one_sees() -> None:
    """What comes after both were made is a peak of both."""
    outer = PeakMemory()
    start = read(outer)
    inner = PeakMemory()
    touch(200)

    assert read(outer) - start > 180
    assert read(inner) - start > 180


@LINUX
def test_three_objects_each_see_their_own_peak() -> None:
    """The largest since an object was made, whichever of them made it go: before, between, or after the others."""
    first = PeakMemory()
    start = read(first)
    touch(240)
    second = PeakMemory()
    touch(120)
    third = PeakMemory()

    assert read(first) - start > 220
    assert 100 < read(second) - start < 200
    assert read(third) - start < 60


@LINUX
def test_a_peak_that_was_read_is_not_forgotten() -> None:
    """Reading resets no object's peak."""
    outer = PeakMemory()
    touch(200)
    inner = PeakMemory()
    before = read(outer), read(inner)
    gc.collect()

    assert (read(outer), read(inner)) == pytest.approx(before, abs=20)


@LINUX
def test_objects_that_are_gone_are_not_kept() -> None:
    """A session makes one a recipe; none is held for the sake of the others."""
    alive = len(PeakMemory._alive)
    for _ in range(5):
        PeakMemory()
    gc.collect()

    assert len(PeakMemory._alive) <= alive


def test_where_there_is_no_mark_there_is_no_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None, and not 0: neither file of the kernel's is there."""
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "none")

    assert PeakMemory().read() is None


def test_a_mark_that_cannot_be_reset_is_no_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It would be the process's, from long before."""
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "none")

    assert PeakMemory().read() is None
