"""Files and memory of a program where no kernel bounds them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qeval.execution.quota import exceeds, resident_bytes

_LOTS = 2**30


def test_space_counts_wherever_it_is(tmp_path: Path) -> None:
    """Files in folders, by the blocks that they take."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "large").write_bytes(b"x" * 2**20)
    assert exceeds(str(tmp_path), 2**19, 100)
    assert not exceeds(str(tmp_path), 2**21, 100)


def test_files_count(tmp_path: Path) -> None:
    """Empty ones and folders, too."""
    for number in range(10):
        (tmp_path / f"{number}").mkdir()
    assert exceeds(str(tmp_path), _LOTS, 9)
    assert not exceeds(str(tmp_path), _LOTS, 10)


def test_what_takes_no_space_does_not_count(tmp_path: Path) -> None:
    """A sparse file, a second name of a file, and what lies behind a link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 2**20)
    folder = tmp_path / "folder"
    folder.mkdir()
    with (folder / "sparse").open("wb") as file:
        file.truncate(2**30)
    (folder / "small").write_bytes(b"x" * 2**16)
    for number in range(20):
        (folder / f"again{number}").hardlink_to(folder / "small")
    (folder / "link").symlink_to(outside)
    assert not exceeds(str(folder), 2**17, 100)


def test_a_tree_that_is_too_deep_is_too_much(tmp_path: Path) -> None:
    """What lies there could not be counted."""
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(40):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    assert exceeds(str(tmp_path), _LOTS, 1000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_closed_folder_counts_from_the_next_check_on(tmp_path: Path) -> None:
    """A program may close its own folders, and we may open them."""
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "large").write_bytes(b"x" * 2**20)
    closed.chmod(0)
    exceeds(str(tmp_path), 2**19, 100)
    assert exceeds(str(tmp_path), 2**19, 100)


def test_a_folder_that_is_gone_is_empty(tmp_path: Path) -> None:
    """A program may remove its files while they are counted."""
    assert not exceeds(str(tmp_path / "gone"), 0, 0)


def test_memory_of_another_process() -> None:
    """As `ps` knows it on every POSIX system; a process that does not exist has none."""
    code = "x = bytearray(b'x') * 2**26\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = resident_bytes(process.pid)
        process.kill()
    assert used > 2**26
    assert resident_bytes(process.pid) == 0
