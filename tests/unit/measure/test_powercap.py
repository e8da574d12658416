"""Counters of the processor, read from trees of files as Linux shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.measure.powercap import NO_ACCESS, NO_COUNTER, Powercap

RANGE_J = 1000.0


def write(root: Path, number: str, name: str, joules: float) -> Path:
    """Write a zone; further calls change its counter."""
    folder = root / "sys/class/powercap" / f"intel-rapl:{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in (
        ("name", name),
        ("energy_uj", str(round(1e6 * joules))),
        ("max_energy_range_uj", str(round(1e6 * RANGE_J))),
    ):
        (folder / file).write_text(f"{content}\n")
    return folder


def test_packages_and_memory_are_added_up(tmp_path: Path) -> None:
    """Cores are a part of a package, and the platform holds all of it."""
    for number, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "package-1"), ("2", "psys")):
        write(tmp_path, number, name, 100)
    found = Powercap(tmp_path)
    for number, name, joules in (("0", "package-0", 107), ("0:0", "core", 106), ("0:1", "dram", 102)):
        write(tmp_path, number, name, joules)

    assert found.parts == {"cpu": "package-0, package-1", "ram": "dram"}
    assert found.read() == {"cpu": pytest.approx(7), "ram": pytest.approx(2)}
    assert found.missing == ""


def test_a_counter_that_starts_again_at_0_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "0", "package-0", 990)
    found = Powercap(tmp_path)
    totals = []
    for joules in (999, 5, 400, 100):
        write(tmp_path, "0", "package-0", joules)
        totals.append(found.read()["cpu"])

    assert totals == pytest.approx([9, 15, 410, 1110])


@settings(deadline=None, max_examples=30)
@given(steps=st.lists(st.integers(0, 999), max_size=30))
def test_the_total_is_what_was_used(steps: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """However often the counter starts again, if it is read in between."""
    root = tmp_path_factory.mktemp("root")
    write(root, "0", "package-0", 0)
    found = Powercap(root)
    used = 0
    for step in steps:
        used += step
        write(root, "0", "package-0", used % RANGE_J)
        assert found.read()["cpu"] == pytest.approx(used)


def test_dies_that_show_the_counter_of_the_package_count_once(tmp_path: Path) -> None:
    for number, joules in (("0", 500.0), ("1", 500.2), ("2", 800.0)):
        write(tmp_path, number, f"package-0-die-{number}", joules)

    assert Powercap(tmp_path).parts == {"cpu": "package-0-die-0, package-0-die-2"}


def test_packages_that_have_used_the_same_count_both(tmp_path: Path) -> None:
    write(tmp_path, "0", "package-0", 500)
    write(tmp_path, "1", "package-1", 500)

    assert Powercap(tmp_path).parts == {"cpu": "package-0, package-1"}


def test_a_counter_for_root_only_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on every Linux since 2020; tests may run as root, so the refusal is made."""
    forbidden = write(tmp_path, "0", "package-0", 1) / "energy_uj"
    read = Path.read_text

    def refuse(path: Path, **options: str) -> str:
        if path == forbidden:
            raise PermissionError
        return read(path, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    found = Powercap(tmp_path)

    assert (found.parts, found.missing) == ({}, NO_ACCESS)
    assert "chmod" in NO_ACCESS


def test_memory_alone_is_no_measure(tmp_path: Path) -> None:
    write(tmp_path, "0:1", "dram", 1)
    assert (Powercap(tmp_path).parts, Powercap(tmp_path).missing) == ({}, NO_COUNTER)


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    assert (Powercap(tmp_path).parts, Powercap(tmp_path).missing) == ({}, NO_COUNTER)
